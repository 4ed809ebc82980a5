/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * share.h - NEARHEAP_SHARE: the process's counters in a file that others may read while it
 * runs (share_page.h, share_file.h), written anew with each beat of the attendant.
 *
 * Reads counters as stats.h does: each lock for a moment.  What cannot be done is said in
 * one line, and the process goes on without a page.
 */
#ifndef NH_SHARE_H
#define NH_SHARE_H

#include <stdbool.h>

/* Duties of the attendant (attendant.c). */
void share_begin(void);
void share_beat(void);
void share_end(void);
void share_fork_child(void);

/* Whether the process has a page.  By the attendant. */
bool share_is_there(void);

#endif
