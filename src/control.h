/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * control.h - orders from outside to the running process, over a socket (control_path.h): a
 * duty of the attendant.
 *
 * Nothing that a client does can hold up the process.  The attendant alone reads and writes,
 * without waiting; a connection has a buffer of one command's length, brings one command, and
 * is closed after some seconds; there are only so many.  An answer fits what a fresh
 * connection takes.  Only regular files are written to.  While a command is carried out the
 * attendant does nothing else, and takes the engine's locks as any thread does; to start a
 * profile it loads what walks stacks, which allocates.
 */
#ifndef NH_CONTROL_H
#define NH_CONTROL_H

#include "log.h"

/* As in attendant.h. */
void control_begin(void);
void control_beat(void);
void control_end(void);
void control_fork_child(void);

/* Carries a command out, a line without its end, which is changed; `file` is open for
 * writing, or negative.  Adds all of the answer.  By the attendant (control_commands.c). */
void control_command(char *line, int file, struct text *answer);

#endif
