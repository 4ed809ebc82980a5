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

void cache_register(struct cache *cache)
{
    cache->prev = NULL;
    cache->next = first;
    if (first != NULL)
        first->prev = cache;
    first = cache;
}

void cache_unregister(struct cache *cache)
{
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

void cache_registry_empty_cpus(void)
{
    for (struct cache *cache = first; cache != NULL; cache = cache->next)
        if (cache->cpu != CACHE_NO_CPU)
            cache_empty(cache);
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

static void unpack_all(struct magazine *list)
{
    while (list != NULL) {
        struct magazine *next = list->next;
        heap_unpack(list);
        list = next;
    }
}

/* Takes magazines under the lock, empties them without it. */
static void collect_spares(const struct heap *heap)
{
    struct magazine *taken = NULL;
    lock_acquire(&lock);
    for (struct cache *cache = first; cache != NULL; cache = cache->next)
        for (unsigned cls = 1; cls < NH_CLASSES; cls++)
            if (cache_heap_of(cache) == heap)
                take(&cache->spare[cls], &taken);
    lock_release(&lock);
    unpack_all(taken);
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
    collect_spares(heap);
}

NH_RACY void *slot_at(void **slot)
{
    return __atomic_load_n(slot, __ATOMIC_RELAXED);
}

/* Of a bin that is used at this moment.  Its magazine's memory is always a magazine's, and
 * what stands between the top that the bin had and the end of the stack was a cached
 * object then, or was put there since.  (The owner's store of an object comes before
 * that of the top for x86's readers; elsewhere the newest may be missed.) */
static void each_loaded(void **top, unsigned rounds, void (*fn)(void *object, void *arg), void *arg)
{
    if (top == NULL || top == NO_TOP)
        return;
    void **end = magazine_of(top)->slot + rounds;
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
            each_loaded(atomic_load_explicit(&row->bin[cls], memory_order_relaxed),
                        heap->central[cls].rounds, fn, arg);
            each_stored(&cache->spare[cls], &displaced, fn, arg);
        }
        for (unsigned slot = 0; slot < topology_now()->slots; slot++)
            each_stored(&cache->outbox[slot], &displaced, fn, arg);
    }
    lock_release(&lock);
    unpack_all(displaced);
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
                objects = heap->central[cls].rounds - (size_t)(top - magazine_of(top)->slot);
            if (atomic_load_explicit(&cache->spare[cls], memory_order_relaxed) != NULL)
                objects += atomic_load_explicit(&cache->spare_count[cls], memory_order_relaxed);
            *bytes += objects * size_class_bytes(cls);
        }
    }
    lock_release(&lock);
}
