/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * process.h - the process's beginning, forks and end.
 */
#ifndef NH_PROCESS_H
#define NH_PROCESS_H

#include "base.h"

/* Reads the options and fixes the number of heaps, once, at the first
 * allocation: before constructors, without any library.  True when done. */
bool process_boot(void);

/* What needs the C library or hwloc, from the library's constructor or, if
 * that has not run yet, the first nh_ call that asks about nodes. */
void process_start(void);

/* Whether it is a fork's child, or a child's child; known before that runs anything. */
bool process_is_forked(void);

#endif
