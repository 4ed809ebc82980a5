/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cpu_table.h - what the sequences of rseq.h read to find a CPU's row.  cpu_cache.c
 * alone writes it.
 */
#ifndef NH_CPU_TABLE_H
#define NH_CPU_TABLE_H

#include "base.h"
#include "limits.h"

#include <stdatomic.h>

struct row;
struct cache;

/* By CPU number, what each has: so in three arrays, for an index that an
 * instruction can scale.  Of these, pages are touched for the CPUs there are. */
struct cpu_table {
    struct row *own[NH_CPUS_MAX];  /* malloc's: of the CPU's node */
    struct row *rows[NH_CPUS_MAX]; /* free's: row of slot 0 */
    struct cache *_Atomic cache[NH_CPUS_MAX];
};

/* Read at each malloc and free: a cache line that is hardly ever written. */
struct cpu_access {
    /* The table; or that of nothing while caches are closed (cpu_cache.h).  Sequences
     * read it in their midst: after a membarrier nobody uses what was there before. */
    struct cpu_table *_Atomic table;
    /* Where glibc's area is, counted from the thread pointer; constant when used. */
    ptrdiff_t area;
} __attribute__((aligned(NH_CACHE_LINE)));
extern struct cpu_access cpu_access __attribute__((visibility("hidden")));

NH_STATIC(offsetof(struct cpu_table, own) == 0, "sequences index it so");

#endif
