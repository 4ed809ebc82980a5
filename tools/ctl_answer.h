/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * ctl_answer.h - what nearheap-ctl makes of a process's answer (src/control_path.h).  The
 * process may mean ill: whatever it says, what is printed has no control characters but the
 * ends of lines, and is JSON where that is asked for.  Pure but for printing.
 */
#ifndef CTL_ANSWER_H
#define CTL_ANSWER_H

#include <stdbool.h>
#include <stdio.h>

/* What follows the first line of an answer that says that all is well, within it.  Else NULL,
 * and *why is what it says instead, NULL if it is no answer at all.  Changes the text. */
char *ctl_answer_read(char *answer, const char **why);

/* Prints its lines, and changes them. */
void ctl_answer_options(FILE *to, char *lines, bool json);
/* False, and nothing is printed, unless each is a name and a number. */
bool ctl_answer_values(FILE *to, char *lines, bool json);

#endif
