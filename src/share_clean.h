/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * share_clean.h - removes what processes that have ended left in their user's folders
 * (share_file.h): pages and sockets, and such as were not complete.
 *
 * Processes that are killed, or end by _exit as many children of a fork do, leave theirs.  By
 * the attendant.
 */
#ifndef NH_SHARE_CLEAN_H
#define NH_SHARE_CLEAN_H

/* All of it, when the process begins. */
void share_clean_all(void);
/* With each beat: some of it, now and then. */
void share_clean_beat(void);

#endif
