/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cache_life.h - which cache the calling thread uses, for the slow paths in cache.c.
 */
#ifndef NH_CACHE_LIFE_H
#define NH_CACHE_LIFE_H

#include "cache.h"
#include "cpu_cache.h"
#include "numa/topology.h"

/* The first cache of a thread: its own, unless CPUs have them by now; NULL without
 * memory. */
NH_SLOW struct cache *cache_begin(void);
/* Makes a thread's cache one of the node the thread runs on now. */
void cache_follow_thread(struct cache *cache);
/* Gives the thread's own cache back. */
void cache_end(void);

NH_INLINE bool cache_may_have_moved(const struct cache *cache)
{
    return (topology_now()->slots > 1 && nh_thread.fixed_slot == 0) ||
           atomic_load_explicit(&cache->changes_seen, memory_order_relaxed) != topology_changes();
}

/* The cache to use now, of the node the thread runs on; NULL when there is none. */
NH_INLINE struct cache *cache_present(void)
{
    struct cache *cache = nh_thread.cache;
    if (cpu_caches_used() && nh_likely(nh_thread.fixed_slot == 0)) {
        if (nh_unlikely(cache != NULL))
            cache_end();
        return cpu_cache_present();
    }
    if (nh_unlikely(cache == NULL))
        return cache_begin();
    if (nh_unlikely(cache_may_have_moved(cache)))
        cache_follow_thread(cache);
    return cache;
}

#endif
