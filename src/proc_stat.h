/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * proc_stat.h - what the kernel tells of a process in /proc/PID/stat.
 *
 * Anyone may call it, where files may be read; never allocates.
 */
#ifndef NH_PROC_STAT_H
#define NH_PROC_STAT_H

#include "base.h"

struct proc_stat {
    char state;       /* of its first thread; 'Z' when that has ended */
    uint64_t threads; /* a first thread that has ended is one */
    uint64_t started; /* in clock ticks since boot: with the number, which process it is */
};

/* False when there is no such process, or nothing is told of it. */
bool proc_stat_read(long pid, struct proc_stat *out);
/* The same of the file's text.  Pure. */
bool proc_stat_parse(const char *text, struct proc_stat *out);

#endif
