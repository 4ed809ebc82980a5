/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * outside.h - what others see of a process that shares its counters (NEARHEAP_SHARE), and
 * what is left when it ends.  No fault strikes what is called here.
 */
#ifndef NH_TEST_OUTSIDE_H
#define NH_TEST_OUTSIDE_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether the option is set; nothing else here does anything otherwise. */
bool outside_is_seen(void);

/* Time goes on for the attendant (beat.h), and somebody connects and asks for each thing:
 * how many got no answer though there is a socket.  Returns in any case. */
unsigned outside_ask(void);

/* At the start: a child, which no fault strikes, ends without notice while it shares its
 * counters. */
void outside_leave_stale(void);
/* Another process of ours; if it ends well, it leaves no files. */
void outside_adopt(pid_t process, bool ends_well);
/* Files that are there though they should not, of this process and those that end well. */
unsigned outside_files(void);
/* Prints the numbers of all processes, as a list. */
void outside_print(int fd);

/* Descriptors that are open, but those that are to be: those of the beginning, and one that
 * others connect to. */
unsigned outside_descriptors(void);

#endif
