/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * top_residence.h - where the memory of a process really is, by the kernel's account in
 * /proc/PID/numa_maps.  Nothing is asked of the process.
 *
 * Heaps place their memory by a policy for each piece, which the kernel tells beside the
 * nodes that the pages are on: so what belongs to a node, and is elsewhere, shows.  Memory
 * without such a policy (stacks, libraries; all, on one node) is the rest.
 */
#ifndef TOP_RESIDENCE_H
#define TOP_RESIDENCE_H

#include "share_page.h"

#include <stdio.h>

/* Rows by whose memory it is: heaps' as in a page, then the rest. */
#define RESIDENCE_REST NH_HEAPS
#define RESIDENCE_ROWS (NH_HEAPS + 1)
/* Columns by where it is: nodes as in a page, then others. */
#define RESIDENCE_OTHERS  NH_NODES_MAX
#define RESIDENCE_COLUMNS (NH_NODES_MAX + 1)

struct residence {
    bool known;
    double seconds; /* that it took to read */
    uint64_t bytes[RESIDENCE_ROWS][RESIDENCE_COLUMNS];
};

/* Of process `pid`, whose nodes `figures` has.  Not known where the kernel does not tell, or
 * not the caller.  Takes time in proportion to the process's memory, in which the process
 * may have to wait when it maps some. */
void residence_read(long pid, const struct share_figures *figures, struct residence *out);

/* What the process has in memory, which /proc/PID/status calls VmRSS: with all that it shares
 * and that is not nearheap's.  In bytes; 0 if it is not known. */
uint64_t residence_of_process(long pid);

/* Of such a file.  Pure but for reading. */
void residence_parse(FILE *maps, const struct share_figures *figures, struct residence *out);

/* A row's memory on its own node, and all of it. */
uint64_t residence_here(const struct residence *residence, unsigned slot);
uint64_t residence_all(const struct residence *residence, unsigned row);

#endif
