/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * sample.c - see sample.h.
 */
#include "sample.h"

#include "cache.h"
#include "fast.h"
#include "guard.h"
#include "large.h"
#include "profile.h"
#include "size_class.h"

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

/* Without a place between guard pages an object is as if only the profile had chosen it. */
static void *alloc(struct heap *heap, size_t size, size_t alignment, size_t bytes, size_t weighed)
{
    if (profile_frames_busy() || heap == NULL)
        return NULL;
    unsigned whose = sampling_whose(weighed);
    void *object = NULL;
    if ((whose & 1U << SAMPLING_GUARD) != 0)
        object =
            guard_alloc(heap, size != 0 ? size : 1, alignment > NH_GRAIN ? alignment : NH_GRAIN);
    if ((whose & 1U << SAMPLING_PROFILE) == 0)
        return object;
    bool zeroed;
    if (object == NULL)
        object = large_alloc_unsampled(heap, bytes, alignment, &zeroed);
    if (object != NULL)
        profile_take(object, bytes, weighed);
    return object;
}

void *sample_alloc(size_t size, size_t alignment, size_t bytes, size_t weighed)
{
    return alloc(cache_heap(), size, alignment, bytes, weighed);
}

void *sample_chosen_on(struct heap *heap, size_t size, size_t alignment, size_t bytes)
{
    return sampling_hit(bytes) ? alloc(heap, size, alignment, bytes, bytes) : NULL;
}
