/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * top_screen.h - nearheap-top on the terminal, until q is pressed or a signal ends it.
 */
#ifndef TOP_SCREEN_H
#define TOP_SCREEN_H

#include "top_list.h"

struct top_screen {
    struct top_list *list; /* of one process, unless all */
    bool all;
    bool residence;  /* may be asked for */
    double interval; /* seconds */
};

/* False without a terminal that it can be drawn on. */
bool top_screen_run(const struct top_screen *screen);

#endif
