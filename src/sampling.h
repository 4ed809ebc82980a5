/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * sampling.h - which allocations are sampled, what for, and what each stands for.
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
 * There are two purposes, a profile and guard pages, each with points at a rate of its own on
 * the same line.  Together they are points like those of one purpose that has the sum of both
 * densities: that is what is counted.  Of an object that is hit, chance decides whose points hit
 * it, as it would be if each had looked for itself (sampling_whose).  So neither purpose knows
 * of the other.
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

enum sampling_purpose { SAMPLING_PROFILE, SAMPLING_GUARD, SAMPLING_PURPOSES };

/* Those that have points, by bits.  The acquire pairs with the release of sampling_start: what
 * its caller made ready is there.  Who sees it late samples a few less or more. */
extern _Atomic unsigned sampling_purposes __attribute__((visibility("hidden")));
NH_INLINE unsigned sampling_for_any(void)
{
    return atomic_load_explicit(&sampling_purposes, memory_order_acquire);
}
NH_INLINE bool sampling_for(enum sampling_purpose purpose)
{
    return nh_unlikely((sampling_for_any() & 1U << purpose) != 0);
}

/* The purpose has points at a mean distance of `rate` bytes, at least 1, from now on; or none
 * any more.  By one thread at a time.  Rows that counted before need row_sampling_reset to know
 * at once. */
void sampling_start(enum sampling_purpose purpose, uint64_t rate);
void sampling_stop(enum sampling_purpose purpose);
/* The purpose's rate, or its last one. */
uint64_t sampling_rate(enum sampling_purpose purpose);

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
/* Of an object of `bytes` that was hit: for which purposes, by bits; 0 where all have stopped. */
unsigned sampling_whose(size_t bytes);

/* The chance that an object of so many bytes, at least 1, is sampled for the purpose. */
double sampling_chance(enum sampling_purpose purpose, size_t bytes);

/* Of the calling thread's stream of chance. */
uint64_t sampling_random(void);

#endif
