/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cache.c - the slow paths of a cache: refill, flush, frees that are not local.  Which
 * cache that is, cache_life.c knows.
 *
 * A magazine is taken out of one place before it is put in the next, so that
 * nobody ever finds it in two.
 */
#include "cache.h"

#include "bad_pointer.h"
#include "cache_life.h"
#include "harden.h"
#include "probe.h"
#include "special.h"
#include "watch.h"

/* Frees of a thread without a cache before it gets one. */
#define FREES_WITHOUT 16

/* Exchanges with central lists between two looks at the clock. */
#define TICK_EXCHANGES 64
/* And between two looks at what waits: it takes longer. */
#define WATCH_EXCHANGES 1024

/* ---- Bins ----
 * Of the row of the cache's present node.  A CPU's are swapped by a sequence, which
 * fails when the thread has left that CPU; what a thread took it then has in hand
 * and stows. */

static struct row *row_of(struct cache *cache)
{
    return &cache->rows[cache_heap_of(cache)->slot];
}

/* Takes the loaded magazine: its top, or NULL. */
NH_INLINE void **unload(struct cache *cache, unsigned cls)
{
    struct row *row = row_of(cache);
    void **top;
    if (nh_likely(cache->cpu != CACHE_NO_CPU)) {
        top = rseq_swap(row, cls, NULL, NO_TOP);
    } else {
        top = atomic_load_explicit(&row->bin[cls], memory_order_relaxed);
        atomic_store_explicit(&row->bin[cls], NO_TOP, memory_order_relaxed);
    }
    return top != NO_TOP ? top : NULL;
}

/* False when the bin has a magazine already, or is no more the thread's to load. */
NH_INLINE bool load(struct cache *cache, unsigned cls, void **top)
{
    struct row *row = row_of(cache);
    if (nh_likely(cache->cpu != CACHE_NO_CPU))
        return rseq_swap(row, cls, NO_TOP, top) != NULL;
    if (atomic_load_explicit(&row->bin[cls], memory_order_relaxed) != NO_TOP)
        return false;
    /* Release: pairs with row_bin_seen. */
    atomic_store_explicit(&row->bin[cls], top, memory_order_release);
    return true;
}

/* Keeps a magazine as the spare; one that is there already, of a thread that was
 * here meanwhile, goes to the central list. */
NH_INLINE void put_spare(struct cache *cache, unsigned cls, struct magazine *magazine)
{
    atomic_store_explicit(&cache->spare_count[cls], (uint8_t)magazine->count, memory_order_relaxed);
    struct magazine *there =
        atomic_exchange_explicit(&cache->spare[cls], magazine, memory_order_acq_rel);
    if (nh_unlikely(there != NULL))
        central_retire(heap_central(cache_heap_of(cache), cls), there, cache_shelf(cache));
}

/* Where a magazine goes that the thread has in hand. */
NH_INLINE void stow(struct cache *cache, unsigned cls, void **top)
{
    if (nh_unlikely(!load(cache, cls, top)))
        put_spare(cache, cls, magazine_unload(top));
}

/* Makes a magazine loaded, with as many rounds as its class has now, or `least`: what it has,
 * or will have.  (What others change at any moment: it may be fewer than it was just now.) */
NH_INLINE void **top_of(const struct cache *cache, unsigned cls, struct magazine *magazine,
                        unsigned least)
{
    unsigned rounds = cache_share_rounds(&cache->share, cls);
    return magazine_load(magazine, rounds > least ? rounds : least);
}

/* The same with as much room again: the spare is wanted, and would be over and over
 * if what is now taken and comes back would not fit beside what stays. */
NH_INLINE void **top_of_spare(const struct cache *cache, unsigned cls, struct magazine *spare)
{
    unsigned most = central_rounds(heap_central(cache_heap_of(cache), cls));
    unsigned rounds = 2 * cache_share_rounds(&cache->share, cls);
    if (rounds > most)
        rounds = most;
    return magazine_load(spare, rounds > spare->count ? rounds : spare->count);
}

/* ---- malloc ---- */

/* Now and then looks whether time has work to do, or will have. */
static NH_SLOW void exchanges_counted(struct heap *heap, uint32_t n)
{
    if (!heap_tick(heap) && n % WATCH_EXCHANGES == 0 && watch_is_off())
        watch_for(heap_waiting_pages(heap));
}

NH_INLINE void count_exchange(struct heap *heap)
{
    uint32_t n = nh_thread.exchanges++;
    if (nh_unlikely(n % TICK_EXCHANGES == 0))
        exchanges_counted(heap, n);
}

/* The class goes to its central list: what it may hold from now on. */
NH_INLINE unsigned ask(struct cache *cache, const struct central *central)
{
    return cache_share_ask(&cache->share, central->cls, central_rounds(central),
                           &central->heap->granted);
}

/* A magazine with objects for one that has none, or for NULL; NULL without memory,
 * the empty one is the caller's still then. */
NH_INLINE struct magazine *exchange_empty(struct cache *cache, struct central *central,
                                          struct magazine *empty, unsigned want)
{
    struct heap *heap = central->heap;
    /* What came home is put away by those who will want it. */
    if (nh_unlikely(atomic_load_explicit(&heap->inbox.count, memory_order_relaxed) != 0))
        heap_open_inbox(heap, 1);
    struct magazine *full = central_exchange_empty(central, empty, want, cache_shelf(cache));
    if (nh_likely(full != NULL)) {
        probe_refill(heap->slot, central->cls, full->count);
        count_exchange(heap);
    }
    return full;
}

/* For a class of which the cache holds none. */
static NH_NOINLINE void *take_one(struct cache *cache, struct central *central)
{
    struct magazine *full = exchange_empty(cache, central, NULL, 1);
    return full != NULL ? central_retire_but_one(central, full, cache_shelf(cache)) : NULL;
}

void *cache_refill(unsigned cls)
{
    struct cache *cache = cache_present();
    if (nh_unlikely(cache == NULL)) {
        if (harden_on()) { /* the process's first malloc, which could not know */
            size_t bytes = size_class_bytes(cls);
            return harden_malloc_class(size_class_alignment(bytes), bytes, cls);
        }
        struct heap *heap = cache_heap();
        return heap != NULL ? central_take_one(heap_central(heap, cls)) : NULL;
    }
    struct central *central = heap_central(cache_heap_of(cache), cls);
    void **top = unload(cache, cls);
    struct magazine *spare = NULL;
    /* Not empty if another thread of the CPU loaded one, or the thread has moved. */
    if (nh_likely(top == NULL || *top == NULL)) {
        struct magazine *loaded = top != NULL ? magazine_unload(top) : NULL;
        struct magazine *full = cache_take_spare(cache, cls);
        if (full != NULL && full->count != 0) {
            top = top_of_spare(cache, cls, full);
            spare = loaded;
        } else {
            unsigned want = ask(cache, central);
            cache_share_wants(&cache->share, cls);
            if (want == 0 && full == NULL && loaded == NULL)
                return take_one(cache, central);
            /* Both are empty: one goes for a full one. */
            struct magazine *empty = full != NULL ? full : loaded;
            spare = full != NULL ? loaded : NULL;
            full = exchange_empty(cache, central, empty, want != 0 ? want : 1);
            if (nh_unlikely(full == NULL)) {
                if (empty != NULL)
                    stow(cache, cls, top_of(cache, cls, empty, 1));
                if (spare != NULL)
                    put_spare(cache, cls, spare);
                return NULL;
            }
            top = top_of(cache, cls, full, full->count);
        }
    }
    void *object = *top;
    stow(cache, cls, top + 1);
    if (spare != NULL)
        put_spare(cache, cls, spare);
    return object;
}

/* ---- free ---- */

/* An empty magazine, or NULL, for one with objects. */
NH_INLINE struct magazine *exchange_full(struct cache *cache, struct central *central,
                                         struct magazine *full)
{
    (void)ask(cache, central);
    struct magazine *empty = central_exchange_full(central, full, cache_shelf(cache));
    count_exchange(central->heap);
    return empty;
}

/* The bin of the object's class is full, or has no magazine.  A full one is kept as the spare,
 * for mallocs to come, unless there are none. */
static void free_local(struct cache *cache, unsigned cls, void *object)
{
    struct central *central = heap_central(cache_heap_of(cache), cls);
    void **top = unload(cache, cls);
    if (nh_unlikely(top != NULL && *top == object)) {
        stow(cache, cls, top);
        bad_pointer_report("free", object);
        return;
    }
    /* Made elsewhere, as this cache never had one of its class: its neighbours are in use
     * there, perhaps on the same cache line. */
    if (nh_unlikely(top == NULL && cache_share_rounds(&cache->share, cls) == 0)) {
        (void)ask(cache, central);
        central_put(central, &object, 1);
        return;
    }
    struct magazine *spare = NULL;
    /* There is room, as in cache_refill, when others were here. */
    if (nh_likely(top == NULL || magazine_top_full(top))) {
        struct magazine *loaded = top != NULL ? magazine_unload(top) : NULL;
        struct magazine *into = cache_take_spare(cache, cls);
        if (into != NULL && into->count != 0 &&
            (loaded != NULL || into->count >= cache_share_rounds(&cache->share, cls))) {
            into = exchange_full(cache, central, into);
            if (nh_unlikely(cache_share_gives(&cache->share, cls)) && loaded != NULL) {
                central_retire(central, loaded, cache_shelf(cache));
                loaded = NULL;
            }
        } else if (into == NULL && loaded != NULL && cache_share_only_gives(&cache->share, cls)) {
            into = exchange_full(cache, central, loaded);
            loaded = NULL;
        }
        if (into == NULL)
            into = central_new_magazine(central);
        if (nh_unlikely(into == NULL)) {
            if (loaded != NULL)
                stow(cache, cls, top_of(cache, cls, loaded, loaded->count));
            central_put(central, &object, 1);
            return;
        }
        spare = loaded;
        top = top_of(cache, cls, into, into->count + 1U);
    }
    nh_assert(!magazine_top_full(top));
    *--top = object;
    stow(cache, cls, top);
    if (spare != NULL)
        put_spare(cache, cls, spare);
}

/* An object of another node waits in its outbox for company. */
static void free_remote(struct cache *cache, struct heap *home, void *object)
{
    struct magazine *outbox = cache_take_outbox(cache, home->slot);
    if (outbox == NULL)
        outbox = heap_magazine_new(cache_heap_of(cache));
    if (nh_unlikely(outbox == NULL)) {
        cache_count_free(home);
        central_put(heap_central(home, row_home_class(object_home(object))), &object, 1);
        return;
    }
    outbox->slot[outbox->count++] = object;
    if (outbox->count != MAGAZINE_ROUNDS)
        outbox = atomic_exchange_explicit(&cache->outbox[home->slot], outbox, memory_order_acq_rel);
    /* Full; or of a thread that was here meanwhile. */
    if (outbox != NULL)
        heap_send(home, outbox);
}

void cache_free_slow(void *ptr)
{
    if (ptr == NULL)
        return;
    uint32_t word = span_table_home((uintptr_t)ptr);
    if (nh_unlikely(word == 0)) {
        bad_pointer_report("free", ptr);
        return;
    }
    unsigned cls = row_home_class(word);
    if (nh_unlikely(cls >= NH_CLASS_HARDENED)) {
        if (special_free(ptr, &word))
            return;
        cls = row_home_class(word);
    }
    struct heap *home = heap_if_exists(row_home_slot(word));
    /* glibc frees for a thread even after its destructors: a cache that began
     * there would never end. */
    struct cache *cache = NULL;
    if (nh_thread.cache != NULL || cpu_caches_used() || nh_thread.frees_without++ >= FREES_WITHOUT)
        cache = cache_present();
    if (nh_unlikely(cache == NULL)) {
        cache_count_free(home);
        central_put(heap_central(home, cls), &ptr, 1);
    } else if (home == cache_heap_of(cache)) {
        free_local(cache, cls, ptr);
    } else {
        free_remote(cache, home, ptr);
    }
}
