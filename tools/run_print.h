/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * run_print.h - the environment that nearheap-run has made, as text for those who start the
 * program without it.
 */
#ifndef NH_TOOLS_RUN_PRINT_H
#define NH_TOOLS_RUN_PRINT_H

#include <stdbool.h>

#define RUN_PRELOAD "LD_PRELOAD" /* the variable that names the library */

/* To standard output: the library, which is set, and the options that are; for a shell, or as
 * part of a systemd unit. */
void run_print_environment(bool unit);

#endif
