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
 * cpu_table.h has the table of CPUs.  The assembly is in a file for each
 * architecture; where there is none, or the area is not registered, threads have
 * caches of their own instead.
 *
 * Order of memory, where loads and stores may pass each other (arm64):
 *  (A) A bin is read and written by threads that run on its CPU, one after another,
 *      and a CPU sees its own loads and stores in the order of the program; what a
 *      thread wrote before it came to this CPU, or left it, the kernel's switch of
 *      threads orders.  So neither bins nor magazines need a fence.
 *  (B) From the table to an object each load's address is what the load before it
 *      found: who finds a row published (cpu_cache.c, release) finds its bins.
 *  (C) Between the caller of cpu_cache_close and a sequence on another CPU a
 *      membarrier stands, which is a full fence on both.  Another orders the table
 *      and the area before the fast paths that use them are chosen.
 */
#ifndef NH_RSEQ_H
#define NH_RSEQ_H

#include "cpu_table.h"
#include "row.h"

/* Pops an object of `cls` of the CPU's node; false when the bin is empty. */
NH_INLINE bool rseq_pop(size_t cls, void **out);

/* The same while a profile is taken (fast_sampled.c): counts the malloc, and false also
 * when the row's count is zero then.  A sequence that is restarted after that counts
 * twice; how often does not depend on what is counted. */
NH_INLINE bool rseq_pop_counted(size_t cls, void **out, struct row **row);

/* Pushes an object to the bin `home` bytes from the CPU's first row; false when
 * that is full, or is no bin of the CPU's node, or has this object on top. */
NH_INLINE bool rseq_push(size_t home, void *object);

/* If the thread's CPU has `row` now and its bin of `cls` is `before`, or is
 * anything when `before` is NULL: makes the bin `after` and returns what it was;
 * else NULL. */
NH_INLINE void **rseq_swap(struct row *row, size_t cls, void **before, void **after);

/* ThreadSanitizer does not see what assembly does. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define NH_RSEQ 1
#include "rseq_x86_64.h"
#elif defined(__aarch64__) && !defined(__SANITIZE_THREAD__)
#define NH_RSEQ 1
#include "rseq_aarch64.h"
#else
#define NH_RSEQ 0

NH_INLINE bool rseq_pop(size_t cls, void **out)
{
    (void)cls, (void)out;
    return false;
}

NH_INLINE bool rseq_pop_counted(size_t cls, void **out, struct row **row)
{
    (void)cls, (void)out;
    *row = &row_boot;
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
