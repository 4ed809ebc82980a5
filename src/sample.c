/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * sample.c - see sample.h.
 */
#include "sample.h"

#include "cache.h"
#include "fast.h"
#include "large.h"
#include "profile.h"

void sample_start(enum sampling_purpose purpose, uint64_t rate)
{
    cache_registry_lock();
    sampling_start(purpose, rate);
    cache_registry_reset_sampling();
    fast_use_sampling(true);
    cache_registry_unlock();
}

void sample_stop(enum sampling_purpose purpose)
{
    cache_registry_lock();
    sampling_stop(purpose);
    cache_registry_reset_sampling();
    fast_use_sampling(sampling_for_any() != 0);
    cache_registry_unlock();
}

static void *alloc(struct heap *heap, size_t bytes, size_t weighed)
{
    if (profile_frames_busy() || heap == NULL)
        return NULL;
    if ((sampling_whose(weighed) & 1U << SAMPLING_PROFILE) == 0)
        return NULL;
    /* The largest power of two that divides it is what the class is aligned to. */
    bool zeroed;
    void *object = large_alloc_unsampled(heap, bytes, bytes & -bytes, &zeroed);
    if (object != NULL)
        profile_take(object, bytes, weighed);
    return object;
}

void *sample_alloc(size_t size, size_t bytes, size_t weighed)
{
    (void)size;
    return alloc(cache_heap(), bytes, weighed);
}

void *sample_alloc_on(struct heap *heap, size_t bytes)
{
    return sampling_hit(bytes) ? alloc(heap, bytes, bytes) : NULL;
}
