/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * control_path.h - where a process's control socket lies, and how it is spoken to: for the
 * library and nearheap-ctl.
 *
 * The socket lies beside the page of counters (share_file.h), in the folder that is the
 * user's alone, as PID.sock.  Who connects (the process's user, or root) sends one command, a
 * line of words, with a regular file where the command writes to one (SCM_RIGHTS), so the
 * process opens no path that another chose.  The answer is the line "ok", and more lines, or
 * "error " and why, perhaps "errno " and a number; then the connection ends.
 *
 *   get [VARIABLE]           a line "VARIABLE live|start VALUE" each
 *   set VARIABLE VALUE       the value is the rest of the line; the same line of it
 *   scavenge [NODE]          "released_bytes N"
 *   profile start [RATE]     rate in bytes
 *   profile stop
 *   profile write            to the file
 *   dump                     to the file
 *   stats [text|json]        to the file
 *   migrate FROM TO          "moved_bytes N", "failed_bytes N"
 */
#ifndef NH_CONTROL_PATH_H
#define NH_CONTROL_PATH_H

#include "base.h"

#include <sys/types.h>

/* Longest command and longest answer, their ends included. */
#define CONTROL_COMMAND_ROOM 1024
#define CONTROL_ANSWER_ROOM  8192

#define CONTROL_OK    "ok"
#define CONTROL_ERROR "error "
#define CONTROL_ERRNO "errno "

#define CONTROL_PATH_ROOM 96 /* less than sun_path has */

/* `unfinished`: its name before it is ready.  Empty if it cannot be put together. */
void control_path(const char *place, uid_t uid, long pid, bool unfinished,
                  char path[CONTROL_PATH_ROOM]);
/* As share_file_pid, of the name of such a socket. */
long control_path_pid(const char *name, bool *unfinished);

#endif
