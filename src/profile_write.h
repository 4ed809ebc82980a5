/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * profile_write.h - the profile as a file: by call, by signal, and when the process ends.
 *
 * A file is written by one at a time, from any context: it takes no lock and never calls
 * malloc.  Only the end of the process waits for another's.
 */
#ifndef NH_PROFILE_WRITE_H
#define NH_PROFILE_WRITE_H

/* Writes to `path`, in which %p becomes the process id; NULL: the option's path.  0, or an
 * error's number: EBUSY while another is written, EINVAL without a path. */
int profile_write(const char *path);
/* The same to an open file. */
int profile_write_to(int fd);

/* Begins what the options ask for; process start, as profile_start. */
void profile_begin(void);
/* Process end: the last that the option asks for; signals have no effect from then on. */
void profile_at_exit(void);
/* In the child of a fork. */
void profile_fork_child(void);

#endif
