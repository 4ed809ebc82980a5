/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * option_text.h - an option's bounds and default in words, as the README's table and the
 * manual pages have them, and its name on nearheap-run's command line.  For programs that
 * print the table, not for the engine.
 */
#ifndef NH_OPTION_TEXT_H
#define NH_OPTION_TEXT_H

#include "options.h"

/* What every variable's name begins with. */
#define OPTION_PREFIX "NEARHEAP_"

#define OPTION_NAME_ROOM 64

/* NEARHEAP_NODE_LIMIT is the option node-limit; NEARHEAP_PROFILE, since --profile chooses
 * one of nearheap-run's own, profile-file. */
void option_name(const struct option *row, char name[OPTION_NAME_ROOM]);

/* Print to stdout what may be given, and what holds if nothing is. */
void option_print_values(const struct option *row);
void option_print_default(const struct option *row);

#endif
