/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * ctl_end.h - how nearheap-ctl ends when it cannot do what it was asked for.
 */
#ifndef CTL_END_H
#define CTL_END_H

#define STATUS_REFUSED 1
#define STATUS_USAGE   2

/* Says why, in one line, and ends the program. */
void ctl_end(int status, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));
/* Because of what the process answers, or writes. */
void ctl_end_nonsense(long pid) __attribute__((noreturn));

#endif
