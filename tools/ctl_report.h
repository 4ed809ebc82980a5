/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * ctl_report.h - what the process that nearheap-ctl asks writes to files.  What fails ends the
 * program.
 *
 * Reports are written by the process to a file without a name that is sent along, and copied
 * from there to where they are to go: a process that means ill, when it is root who asks, never
 * holds a file that is not its own.  One of another user is sent no file of a disk either, where
 * it might have no rights and no room, but memory, which counts as its own; and which is sealed
 * when it has answered: nothing comes of what it writes to a descriptor that it keeps.
 */
#ifndef CTL_REPORT_H
#define CTL_REPORT_H

#include <stdbool.h>

struct ctl_report {
    int output;  /* where it is to go in the end */
    int scratch; /* what the process writes it to */
    bool ours;   /* the process has our user's rights */
};

/* `path` NULL: it goes to standard output. */
void ctl_report_open(struct ctl_report *report, const char *path, bool ours);
/* To the output, after the process has written it. */
void ctl_report_finish(const struct ctl_report *report, long pid, bool text);

#endif
