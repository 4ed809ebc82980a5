/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * sampling.h - which allocations a profile samples, and what each stands for.
 *
 * Points are thrown on a line of bytes, independently and at a mean distance of `rate`
 * (a Poisson process).  Every object is laid on some of the line, no two on the same
 * part, and is sampled when a point hits it: with the chance 1 - exp(-bytes / rate),
 * whatever happened to all others.  So an object that is sampled stands for 1 / chance
 * objects of its kind, and sums of that are unbiased (Horvitz and Thompson 1952), however
 * often a cache gives out the same memory: what is counted is allocations.
 *
 * How objects are laid out is for us to choose, and differs by what it costs:
 *  - mallocs of up to NH_SMALL_MAX get NH_SMALL_MAX bytes of line each, of which the
 *    object lies on the first.  So the fast path need only count mallocs, not bytes,
 *    which can be done in one instruction (fast_sampled.c).  Where a malloc's part has a
 *    point, chance decides, as bytes do, whether the first lies on the object.
 *  - other objects of size classes get their bytes, which are counted down.
 *  - large objects, and threads without a cache, get a line of their own each time.
 *
 * The counts belong to rows (row.h).  They are changed without atomic operations by
 * the threads that use the row at the moment; a count that is lost at a preemption
 * does not depend on what was counted.  But while a malloc that counted to zero is not
 * yet counted anew, other threads of the CPU are not sampled, and it may be preempted just
 * then: so the next count is there beforehand, and put in place first of all.
 */
#ifndef NH_SAMPLING_H
#define NH_SAMPLING_H

#include "row.h"

/* Begins with points at a mean distance of `rate` bytes, at least 1.  Rows that counted
 * before need row_sampling_reset to know at once. */
void sampling_start(uint64_t rate);
uint64_t sampling_rate(void);

/* Whether mallocs_left is not above 0, as it is where no mallocs are counted (row_boot), too;
 * then it gets what is next. */
NH_INLINE bool sampling_malloc_due(struct row_sampling *row)
{
    if (nh_likely(atomic_load_explicit(&row->mallocs_left, memory_order_relaxed) > 0))
        return false;
    atomic_store_explicit(&row->mallocs_left,
                          atomic_load_explicit(&row->mallocs_next, memory_order_relaxed),
                          memory_order_relaxed);
    return true;
}
/* After that, of the malloc that found it: whether the object of `cls` is hit. */
bool sampling_hit_malloc(struct row_sampling *row, unsigned cls);
/* bytes_left is negative, `bytes` of it by an object: whether that is hit. */
bool sampling_hit_bytes(struct row_sampling *row, size_t bytes);
/* An object that was counted nowhere. */
bool sampling_hit(size_t bytes);

/* The chance that an object of so many bytes, at least 1, is sampled. */
double sampling_chance(size_t bytes);

#endif
