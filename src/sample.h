/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * sample.h - what becomes of an allocation that was chosen (sampling.h): guard pages around
 * it, a place in the profile, or both.
 *
 * Called off the fast paths, with no lock held.  Never calls malloc, and a malloc by the
 * unwinder is not sampled; errno is the caller's.
 */
#ifndef NH_SAMPLE_H
#define NH_SAMPLE_H

#include "sampling.h"

struct heap;

/* Samples for the purpose from now on, at a mean distance of `rate` bytes, or no longer.  What
 * walks stacks is there (profile_frames_prepare). */
void sample_start(enum sampling_purpose purpose, uint64_t rate);
void sample_stop(enum sampling_purpose purpose);

/* An object that was chosen, for `weighed` bytes of line: of `size` bytes, so aligned, whose
 * size class has `bytes`, from the calling thread's heap.  NULL when it is not to be had in this
 * way; then any other will do. */
void *sample_alloc(size_t size, size_t alignment, size_t bytes, size_t weighed);
/* The same of `heap`, if an object of a class of `bytes` from there is chosen. */
void *sample_chosen_on(struct heap *heap, size_t size, size_t alignment, size_t bytes);
NH_INLINE void *sample_alloc_on(struct heap *heap, size_t size, size_t alignment, size_t bytes)
{
    return nh_unlikely(sampling_for_any() != 0) ? sample_chosen_on(heap, size, alignment, bytes)
                                                : NULL;
}

#endif
