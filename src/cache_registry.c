/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cache_registry.c - the list of all caches, and what others may do with one that
 * is not theirs.
 */
#include "cache.h"
#include "numa/topology.h"

static struct lock lock = LOCK_INIT(LOCK_REGISTRY);
static struct cache *first; /* guarded by lock */

void cache_registry_lock(void)
{
    lock_acquire(&lock);
}

void cache_registry_unlock(void)
{
    lock_release(&lock);
}

/* Threads that moved since it was counted (collect_spares) count where they came from. */
static void count_caches(struct heap *heap, uint32_t count)
{
    atomic_store_explicit(&heap->cache_count, count, memory_order_relaxed);
}

static uint32_t caches_of(const struct heap *heap)
{
    return atomic_load_explicit(&heap->cache_count, memory_order_relaxed);
}

void cache_register(struct cache *cache)
{
    struct heap *heap = cache_heap_of(cache);
    count_caches(heap, caches_of(heap) + 1);
    cache->prev = NULL;
    cache->next = first;
    if (first != NULL)
        first->prev = cache;
    first = cache;
}

void cache_unregister(struct cache *cache)
{
    struct heap *heap = cache_heap_of(cache);
    if (caches_of(heap) != 0)
        count_caches(heap, caches_of(heap) - 1);
    if (cache->prev != NULL)
        cache->prev->next = cache->next;
    else
        first = cache->next;
    if (cache->next != NULL)
        cache->next->prev = cache->prev;
}

struct cache *cache_registry_find(const struct heap *heap, uint32_t cpu)
{
    for (struct cache *cache = first; cache != NULL; cache = cache->next)
        if (cache->cpu == (int32_t)cpu && cache_heap_of(cache) == heap)
            return cache;
    return NULL;
}

static bool is_idle_cpu(const struct cache *cache)
{
    return cache->cpu != CACHE_NO_CPU && atomic_load_explicit(&cache->idle, memory_order_relaxed);
}

bool cache_registry_has_idle_cpus(void)
{
    for (struct cache *cache = first; cache != NULL; cache = cache->next) {
        if (!is_idle_cpu(cache))
            continue;
        const struct row *row = &cache->rows[cache_heap_of(cache)->slot];
        for (unsigned cls = 1; cls < NH_CLASSES; cls++)
            if (atomic_load_explicit(&row->bin[cls], memory_order_relaxed) != NO_TOP)
                return true;
    }
    return false;
}

void cache_registry_reset_sampling(void)
{
    for (struct cache *cache = first; cache != NULL; cache = cache->next)
        row_sampling_reset(&cache->rows[cache_heap_of(cache)->slot].sampling);
}

void cache_registry_empty_cpus(bool idle_only, enum cache_to to)
{
    for (struct cache *cache = first; cache != NULL; cache = cache->next)
        if (idle_only ? is_idle_cpu(cache) : cache->cpu != CACHE_NO_CPU)
            cache_empty(cache, to);
}

void cache_registry_only(struct cache *own)
{
    struct cache *next;
    for (struct cache *cache = first; cache != NULL; cache = next) {
        next = cache->next;
        if (cache != own && cache->cpu == CACHE_NO_CPU)
            cache_unregister(cache);
    }
}

/* Takes a magazine out of a slot into a list. */
static void take(_Atomic(struct magazine *) *slot, struct magazine **list)
{
    if (atomic_load_explicit(slot, memory_order_relaxed) == NULL)
        return;
    struct magazine *magazine = atomic_exchange_explicit(slot, NULL, memory_order_acquire);
    if (magazine != NULL) {
        magazine->next = *list;
        *list = magazine;
    }
}

/* Takes spares under the lock, empties them without it. */
static void collect_spares(struct heap *heap, bool idle_only)
{
    struct magazine *taken = NULL;
    uint32_t count = 0;
    lock_acquire(&lock);
    for (struct cache *cache = first; cache != NULL; cache = cache->next) {
        if (cache_heap_of(cache) != heap)
            continue;
        count++;
        if (idle_only)
            atomic_store_explicit(&cache->idle, !cache_share_asked(&cache->share),
                                  memory_order_relaxed);
        for (unsigned cls = 1; cls < NH_CLASSES; cls++)
            if (!idle_only || cache_share_shrink(&cache->share, cls))
                take(&cache->spare[cls], &taken);
    }
    count_caches(heap, count);
    lock_release(&lock);
    while (taken != NULL) {
        struct magazine *next = taken->next;
        heap_unpack(taken);
        taken = next;
    }
}

void cache_collect_outboxes(void)
{
    if (topology_now()->slots == 1)
        return;
    for (unsigned slot = 0; slot < topology_now()->slots; slot++) {
        struct magazine *taken = NULL;
        lock_acquire(&lock);
        for (struct cache *cache = first; cache != NULL; cache = cache->next)
            take(&cache->outbox[slot], &taken);
        lock_release(&lock);
        while (taken != NULL) {
            struct magazine *next = taken->next;
            heap_send(heap_if_exists(slot), taken);
            taken = next;
        }
    }
}

void cache_collect(struct heap *heap)
{
    cache_collect_outboxes();
    collect_spares(heap, false);
}

void cache_collect_idle(struct heap *heap)
{
    collect_spares(heap, true);
}

void cache_count(const struct heap *heap, uint64_t *caches, uint64_t *bytes)
{
    *caches = *bytes = 0;
    lock_acquire(&lock);
    for (struct cache *cache = first; cache != NULL; cache = cache->next) {
        if (cache_heap_of(cache) != heap)
            continue;
        ++*caches;
        const struct row *row = &cache->rows[heap->slot];
        for (unsigned cls = 1; cls < NH_CLASSES; cls++) {
            void **top = atomic_load_explicit(&row->bin[cls], memory_order_relaxed);
            size_t objects = 0;
            if (top != NULL && top != NO_TOP)
                objects =
                    magazine_rounds(magazine_of(top)) - (size_t)(top - magazine_of(top)->slot);
            if (atomic_load_explicit(&cache->spare[cls], memory_order_relaxed) != NULL)
                objects += atomic_load_explicit(&cache->spare_count[cls], memory_order_relaxed);
            *bytes += objects * size_class_bytes(cls);
        }
    }
    lock_release(&lock);
}
