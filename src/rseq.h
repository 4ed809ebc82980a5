/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * rseq.h - the few instructions that threads of one CPU do in turn on its row:
 * restartable sequences, which the kernel starts again at the top when the
 * thread was preempted, moved, or interrupted by a signal in their midst.
 *
 * Each sequence reads the CPU's number, follows it to the CPU's row, and ends
 * with its only store to a bin: what came before it is not seen by anyone.  The
 * kernel's side is struct rseq and struct rseq_cs in <linux/rseq.h>; glibc
 * registers the area.  After M. Desnoyers' restartable sequences and the per-CPU
 * caches of A. Hunter, "Beyond malloc efficiency to fleet efficiency", OSDI 2021.
 *
 * cpu_cache.h has the table of CPUs.  Where there is no assembly here, or the area
 * is not registered, threads have caches of their own instead.
 */
#ifndef NH_RSEQ_H
#define NH_RSEQ_H

#include "base.h"
#include "limits.h"

#include <stdatomic.h>

struct row;
struct cache;

#define CPUS_MAX ((size_t)1 << 12)

/* By CPU number, what each has: so in three arrays, for an index that an
 * instruction can scale.  Of these, pages are touched for the CPUs there are. */
struct cpu_table {
    struct row *own[CPUS_MAX];  /* malloc's: of the CPU's node */
    struct row *rows[CPUS_MAX]; /* free's: row of slot 0 */
    struct cache *_Atomic cache[CPUS_MAX];
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

/* ThreadSanitizer does not see what assembly does. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define NH_RSEQ 1

/* What precedes an abort handler, so that nobody can make the kernel jump to
 * another place; glibc registers with it. */
#define RSEQ_SIGNATURE "0x53053053"

/* The sequence between labels 1 and 2; interrupted it goes on at 0.  Sets the area's
 * rseq_cs (offset 8), then reads cpu_id_start (offset 0) into %[cpu] and the table
 * into %[at]. */
#define RSEQ_BEGIN                                                                                 \
    "0:\n\t"                                                                                       \
    ".pushsection __rseq_cs, \"aw\"\n\t"                                                           \
    ".balign 32\n"                                                                                 \
    "3:\t.long 0, 0\n\t"                                                                           \
    ".quad 1f, 2f - 1f, 4f\n\t"                                                                    \
    ".popsection\n\t"                                                                              \
    ".pushsection __rseq_failure, \"ax\"\n\t"                                                      \
    ".byte 0x0f, 0xb9, 0x3d\n\t"                                                                   \
    ".long " RSEQ_SIGNATURE "\n"                                                                   \
    "4:\tjmp 0b\n\t"                                                                               \
    ".popsection\n\t"                                                                              \
    "leaq 3b(%%rip), %[at]\n\t"                                                                    \
    "movq %[at], %%fs:8(%[area])\n"                                                                \
    "1:\tmovl %%fs:(%[area]), %k[cpu]\n\t"                                                         \
    "movq %[table], %[at]\n\t"
#define RSEQ_END "2:\n\t"
NH_STATIC(offsetof(struct cpu_table, own) == 0, "sequences index it so");

/* Pops an object of `cls` of the CPU's node; false when the bin is empty. */
NH_INLINE bool rseq_pop(size_t cls, void **out)
{
    void *at, *top, *object;
    bool empty;
    __asm__ volatile(RSEQ_BEGIN "movq (%[at],%[cpu],8), %[at]\n\t"
                                "movq (%[at],%[cls],8), %[cpu]\n\t"
                                "movq (%[cpu]), %[object]\n\t"
                                "testq %[object], %[object]\n\t"
                                "jz 2f\n\t"
                                "addq $8, %[cpu]\n\t" /* never 0: clears ZF */
                                "movq %[cpu], (%[at],%[cls],8)\n" RSEQ_END
                     : [at] "=&r"(at), [cpu] "=&r"(top), [object] "=&a"(object), "=@ccz"(empty)
                     : [area] "r"(cpu_access.area), [table] "m"(cpu_access.table), [cls] "r"(cls)
                     : "memory");
    *out = object;
    return !empty;
}

/* Pushes an object to the bin `home` bytes from the CPU's first row; false when
 * that is full, or is no bin of the CPU's node, or has this object on top. */
NH_INLINE bool rseq_push(size_t home, void *object)
{
    void *at, *top;
    bool not_pushed;
    __asm__ volatile(RSEQ_BEGIN "movq %c[rows](%[at],%[cpu],8), %[at]\n\t"
                                "movq (%[at],%[home]), %[cpu]\n\t"
                                "testl %[mask], %k[cpu]\n\t"
                                "jz 2f\n\t"
                                "cmpq %[object], (%[cpu])\n\t"
                                "je 2f\n\t"
                                "movq %[object], -8(%[cpu])\n\t"
                                "subq $8, %[cpu]\n\t" /* never 0: clears ZF */
                                "movq %[cpu], (%[at],%[home])\n" RSEQ_END
                     : [at] "=&r"(at), [cpu] "=&r"(top), "=@ccz"(not_pushed)
                     : [area] "r"(cpu_access.area), [table] "m"(cpu_access.table), [home] "r"(home),
                       [object] "r"(object), [mask] "i"(NH_MAGAZINE_BYTES - 1),
                       [rows] "i"(offsetof(struct cpu_table, rows))
                     : "memory");
    return !not_pushed;
}

/* If the thread's CPU has `row` now and its bin of `cls` is `before`, or is
 * anything when `before` is NULL: makes the bin `after` and returns what it was;
 * else NULL. */
NH_INLINE void **rseq_swap(struct row *row, size_t cls, void **before, void **after)
{
    void *at;
    void **was;
    __asm__ volatile(RSEQ_BEGIN "cmpq %[row], (%[at],%[cpu],8)\n\t"
                                "movl $0, %k[cpu]\n\t"
                                "jne 2f\n\t"
                                "movq (%[row],%[cls],8), %[at]\n\t"
                                "testq %[before], %[before]\n\t"
                                "jz 5f\n\t"
                                "cmpq %[before], %[at]\n\t"
                                "jne 2f\n"
                                "5:\tmovq %[at], %[cpu]\n\t"
                                "movq %[after], (%[row],%[cls],8)\n" RSEQ_END
                     : [at] "=&r"(at), [cpu] "=&r"(was)
                     : [area] "r"(cpu_access.area), [table] "m"(cpu_access.table), [row] "r"(row),
                       [cls] "r"(cls), [before] "r"(before), [after] "r"(after)
                     : "memory", "cc");
    return was;
}

#else
#define NH_RSEQ 0

NH_INLINE bool rseq_pop(size_t cls, void **out)
{
    (void)cls, (void)out;
    return false;
}

NH_INLINE bool rseq_push(size_t home, void *object)
{
    (void)home, (void)object;
    return false;
}

NH_INLINE void **rseq_swap(struct row *row, size_t cls, void **before, void **after)
{
    (void)row, (void)cls, (void)before, (void)after;
    return NULL;
}
#endif

#endif
