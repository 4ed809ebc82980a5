/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cache_registry.c - the list of all thread caches, and what others may do
 * with a cache that is not theirs.
 */
#include "bad_pointer.h"
#include "cache.h"
#include "span_table.h"

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
    lock_acquire(&lock);
    cache->prev = NULL;
    cache->next = first;
    if (first != NULL)
        first->prev = cache;
    first = cache;
    lock_release(&lock);
}

void cache_unregister(struct cache *cache)
{
    lock_acquire(&lock);
    if (cache->prev != NULL)
        cache->prev->next = cache->next;
    else
        first = cache->next;
    if (cache->next != NULL)
        cache->next->prev = cache->prev;
    lock_release(&lock);
}

void cache_registry_only(struct cache *cache)
{
    first = cache;
    if (cache != NULL)
        cache->next = cache->prev = NULL;
}

void cache_deliver(struct magazine *magazine, struct heap *heap)
{
    while (magazine->count != 0) {
        /* All objects with the home of the last one; the others close up. */
        void *batch[MAGAZINE_ROUNDS];
        unsigned n = 0, kept = 0;
        batch[n++] = magazine->slot[magazine->count--];
        uint32_t word = span_table_home((uintptr_t)batch[0]);
        for (unsigned i = 1; i <= magazine->count; i++) {
            void *object = magazine->slot[i];
            if (span_table_home((uintptr_t)object) == word)
                batch[n++] = object;
            else
                magazine->slot[++kept] = object;
        }
        magazine->count = kept;
        unsigned cls = row_home_class(word);
        if (nh_unlikely(cls == 0 || cls >= NH_CLASSES)) { /* its span went meanwhile */
            bad_pointer_report("free", batch[0]);
            continue;
        }
        struct heap *home = heap_if_exists(row_home_slot(word));
        if (home != heap)
            atomic_fetch_add_explicit(&home->freed_from[heap->slot], n, memory_order_relaxed);
        central_put(&home->central[cls], batch, n);
    }
    fixalloc_put(&heap->magazines, magazine);
}

/* Takes magazines under the lock, delivers them without it. */
static void collect(struct heap *heap)
{
    struct magazine *taken = NULL;
    struct heap *to = heap;
    lock_acquire(&lock);
    for (struct cache *cache = first; cache != NULL; cache = cache->next) {
        for (unsigned cls = 0; cls < NH_CLASSES; cls++) {
            /* Class 0 has no spare; its turn is the outbox's. */
            _Atomic(struct magazine *) *slot = cls == 0 ? &cache->outbox : &cache->spare[cls];
            if (cls != 0 && atomic_load_explicit(&cache->heap, memory_order_relaxed) != heap)
                break;
            if (atomic_load_explicit(slot, memory_order_relaxed) == NULL)
                continue;
            struct magazine *magazine = atomic_exchange_explicit(slot, NULL, memory_order_acquire);
            if (magazine != NULL) {
                to = atomic_load_explicit(&cache->heap, memory_order_relaxed);
                magazine->next = taken;
                taken = magazine;
            }
        }
    }
    lock_release(&lock);
    while (taken != NULL) {
        struct magazine *next = taken->next;
        cache_deliver(taken, to);
        taken = next;
    }
}

void cache_collect(struct heap *heap)
{
    collect(heap);
}

void cache_collect_outboxes(void)
{
    collect(NULL);
}

void cache_count(const struct heap *heap, uint64_t *threads, uint64_t *bytes)
{
    *threads = *bytes = 0;
    lock_acquire(&lock);
    for (struct cache *cache = first; cache != NULL; cache = cache->next) {
        if (atomic_load_explicit(&cache->heap, memory_order_relaxed) != heap)
            continue;
        ++*threads;
        const struct row *row = &cache->rows[heap->slot];
        for (unsigned cls = 1; cls < NH_CLASSES; cls++) {
            /* A magazine is aligned and its objects begin at slot[1], so the
             * top alone tells how many there are. */
            void **top = atomic_load_explicit(&row->bin[cls].top, memory_order_relaxed);
            size_t into = (uintptr_t)top % NH_MAGAZINE_BYTES;
            size_t objects = 0;
            if (into > offsetof(struct magazine, slot))
                objects = (into - offsetof(struct magazine, slot)) / sizeof(void *);
            if (atomic_load_explicit(&cache->spare[cls], memory_order_relaxed) != NULL)
                objects += atomic_load_explicit(&cache->spare_count[cls], memory_order_relaxed);
            *bytes += objects * size_class_bytes(cls);
        }
    }
    lock_release(&lock);
}
