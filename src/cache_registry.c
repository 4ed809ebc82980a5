/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cache_registry.c - the list of all caches, and what others may do with one that
 * is not theirs.
 */
#include "cache.h"
#include "harden.h"
#include "numa/topology.h"
#include "options.h"
#include "special.h"

static NH_TOGETHER struct lock lock = LOCK_INIT(LOCK_REGISTRY);
static NH_TOGETHER struct cache *first; /* guarded by lock */

void cache_registry_lock(void)
{
    lock_acquire(&lock);
}

void cache_registry_unlock(void)
{
    lock_release(&lock);
}

void cache_registry_fork_lock(void)
{
    lock_acquire_again(&lock);
}

void cache_registry_fork_unlock(void)
{
    lock_release_again(&lock);
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

static void fit(struct cache *cache, size_t limit)
{
    cache_share_limit(&cache->share, limit);
    struct heap *heap = cache_heap_of(cache);
    for (unsigned i = 1; i <= heap_centrals(heap); i++)
        cache_share_fit(&cache->share, heap->central[i].cls, central_rounds(&heap->central[i]));
}

void cache_registry_fit(void)
{
    lock_acquire(&lock);
    for (struct cache *cache = first; cache != NULL; cache = cache->next)
        fit(cache, (size_t)options_get(OPT_CACHE));
    lock_release(&lock);
}

void cache_register(struct cache *cache)
{
    /* Here, so that it cannot miss cache_registry_fit. */
    cache_share_limit(&cache->share, (size_t)options_get(OPT_CACHE));
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

void cache_registry_take_out(bool idle_only, struct magazine **list)
{
    for (struct cache *cache = first; cache != NULL; cache = cache->next)
        if (idle_only ? is_idle_cpu(cache) : cache->cpu != CACHE_NO_CPU)
            cache_take_out(cache, list);
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
    heap_unpack_all(taken);
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

NH_RACY void *slot_at(void **slot)
{
    return __atomic_load_n(slot, __ATOMIC_RELAXED);
}

/* Of a bin that is used at this moment.  Its magazine's memory is always a magazine's, and
 * what stands between the top that the bin had and the end of the stack was a cached
 * object then, or was put there since.  (The owner's store of an object comes before
 * that of the top for x86's readers; elsewhere what was in the slot before may be seen instead
 * of the newest: an object that left the bin, which is anybody's by now.) */
static void each_loaded(void **top, void (*fn)(void *object, void *arg), void *arg)
{
    if (top == NULL || top == NO_TOP)
        return;
    const struct magazine *magazine = magazine_of(top);
    void *const *end = magazine->slot + magazine_rounds(magazine);
    void *object;
    for (; top < end && (object = slot_at(top)) != NULL; top++)
        fn(object, arg);
}

/* Of a magazine in a slot, which is taken out for so long; one that has lost its place
 * goes into a list. */
static void each_stored(_Atomic(struct magazine *) *slot, struct magazine **displaced,
                        void (*fn)(void *object, void *arg), void *arg)
{
    struct magazine *magazine = NULL;
    take(slot, &magazine);
    if (magazine == NULL)
        return;
    for (unsigned i = 0; i < magazine->count; i++)
        fn(magazine->slot[i], arg);
    struct magazine *expected = NULL;
    /* Release: hands it over again. */
    if (!atomic_compare_exchange_strong_explicit(slot, &expected, magazine, memory_order_release,
                                                 memory_order_relaxed)) {
        magazine->next = *displaced;
        *displaced = magazine;
    }
}

void cache_each_object(void (*fn)(void *object, void *arg), void *arg)
{
    struct magazine *displaced = NULL;
    lock_acquire(&lock);
    for (struct cache *cache = first; cache != NULL; cache = cache->next) {
        const struct heap *heap = cache_heap_of(cache);
        const struct row *row = &cache->rows[heap->slot];
        for (unsigned cls = 1; cls < NH_CLASSES; cls++) {
            each_loaded(row_bin_seen(row, cls), fn, arg);
            each_stored(&cache->spare[cls], &displaced, fn, arg);
        }
        for (unsigned slot = 0; slot < topology_now()->slots; slot++)
            each_stored(&cache->outbox[slot], &displaced, fn, arg);
    }
    lock_release(&lock);
    heap_unpack_all(displaced);
    harden_each_object(fn, arg);
}

/* Of a loaded magazine and the spare. */
static size_t count_objects(const struct cache *cache, const struct row *row, unsigned cls)
{
    void **top = row_bin_seen(row, cls);
    size_t objects = 0;
    if (top != NULL && top != NO_TOP) {
        /* It may be another's by now, with fewer rounds. */
        size_t rounds = magazine_rounds(magazine_of(top));
        size_t empty = (size_t)(top - magazine_of(top)->slot);
        objects = rounds > empty ? rounds - empty : 0;
    }
    if (atomic_load_explicit(&cache->spare[cls], memory_order_relaxed) != NULL)
        objects += atomic_load_explicit(&cache->spare_count[cls], memory_order_relaxed);
    return objects;
}

static void count_object(void *object, void *arg)
{
    uint64_t *objects = arg;
    unsigned cls = row_home_class(object_home(object));
    if (cls < NH_CLASSES) /* else its span went meanwhile */
        objects[cls]++;
}

void cache_count(struct heap *heap, uint64_t *caches, uint64_t objects[NH_CLASSES])
{
    struct magazine *displaced = NULL;
    *caches = 0;
    for (unsigned cls = 0; cls < NH_CLASSES; cls++)
        objects[cls] = 0;
    lock_acquire(&lock);
    for (struct cache *cache = first; cache != NULL; cache = cache->next) {
        if (heap->slot < NH_NODES_MAX)
            each_stored(&cache->outbox[heap->slot], &displaced, count_object, objects);
        if (cache_heap_of(cache) != heap)
            continue;
        ++*caches;
        for (unsigned cls = 1; cls < NH_CLASSES; cls++)
            objects[cls] += count_objects(cache, &cache->rows[heap->slot], cls);
    }
    lock_release(&lock);
    heap_unpack_all(displaced);
    heap_inbox_each(heap, count_object, objects);
    harden_count(heap, objects);
}
