/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cache_life.c - which cache a thread uses: its own, from its first slow path to its end,
 * of the node that it runs on; or the CPU's (cpu_cache.c).
 */
#include "cache_life.h"

#include "fast.h"
#include "harden.h"
#include "numa/current.h"
#include "options.h"
#include "process.h"
#include "watch.h"

#include <errno.h>
#include <pthread.h>

void *const row_no_magazine[1] __attribute__((aligned(NH_MAGAZINE_BYTES))) = {NULL};
struct row row_boot = {.bin = {[0 ... NH_CLASSES - 1] = NO_TOP}};
struct row row_boot_rows[NH_NODES_MAX];

_Thread_local struct thread_state nh_thread = {.row = &row_boot,
                                               .rows = row_boot_rows,
                                               .calls_left = WATCH_CALLS_LEAST,
                                               .calls_between = WATCH_CALLS_LEAST};

static NH_TOGETHER pthread_key_t end_key;
static NH_TOGETHER bool have_end_key;
static NH_TOGETHER _Atomic uint32_t caches_begun; /* relaxed: a number for each */

size_t cache_bytes(void)
{
    return round_up(sizeof(struct cache) + topology_now()->slots * sizeof(struct row),
                    NH_CACHE_LINE);
}

void cache_init(void)
{
    /* Fails only when the program has used up all keys. */
    have_end_key = pthread_key_create(&end_key, cache_thread_end) == 0;
    cpu_cache_boot();
}

/* ---- Nodes ---- */

/* Takes the loaded magazine of a class, and then the spare; NULL when there is none. */
static struct magazine *take_own(struct cache *cache, unsigned cls)
{
    struct row *row = &cache->rows[cache_heap_of(cache)->slot];
    void **top = atomic_load_explicit(&row->bin[cls], memory_order_relaxed);
    if (top == NO_TOP)
        return cache_take_spare(cache, cls);
    atomic_store_explicit(&row->bin[cls], NO_TOP, memory_order_relaxed);
    return magazine_unload(top);
}

void cache_take_out(struct cache *cache, struct magazine **list)
{
    struct magazine *magazine;
    for (unsigned cls = 1; cls < NH_CLASSES; cls++)
        while ((magazine = take_own(cache, cls)) != NULL) {
            magazine->next = *list;
            *list = magazine;
        }
    cache_share_clear(&cache->share);
}

void cache_empty(struct cache *cache)
{
    struct magazine *magazine;
    for (unsigned cls = 1; cls < NH_CLASSES; cls++)
        while ((magazine = take_own(cache, cls)) != NULL)
            central_retire(heap_central(cache_heap_of(cache), cls), magazine, cache_shelf(cache));
    cache_share_clear(&cache->share);
    for (unsigned slot = 0; slot < topology_now()->slots; slot++) {
        struct magazine *outbox = cache_take_outbox(cache, slot);
        if (outbox != NULL)
            heap_send(heap_if_exists(slot), outbox);
    }
}

/* Bins of no other node have magazines, and these none. */
static void open_row(struct cache *cache, struct heap *heap)
{
    struct heap *before = cache_heap_of(cache);
    for (unsigned cls = 0; before != NULL && cls < NH_CLASSES; cls++)
        atomic_store_explicit(&cache->rows[before->slot].bin[cls], NULL, memory_order_relaxed);
    struct row *row = &cache->rows[heap->slot];
    for (unsigned cls = 0; cls < NH_CLASSES; cls++)
        atomic_store_explicit(&row->bin[cls], NO_TOP, memory_order_relaxed);
    row_sampling_reset(&row->sampling);
    atomic_store_explicit(&cache->heap, heap, memory_order_relaxed);
}

/* The slot the thread's memory comes from now. */
static unsigned present_slot(const struct topology *topology, uint32_t thread_number)
{
    uint32_t cpu;
    return nh_thread.fixed_slot != 0 ? nh_thread.fixed_slot - 1U
                                     : current_slot(topology, thread_number, &cpu);
}

void cache_follow_thread(struct cache *cache)
{
    /* Before what it counts is read. */
    atomic_store_explicit(&cache->changes_seen, topology_changes(), memory_order_relaxed);
    struct heap *heap = heap_get(present_slot(topology_now(), cache->thread_number));
    if (nh_unlikely(heap == NULL)) /* there is no memory for it: later, perhaps */
        atomic_store_explicit(&cache->changes_seen, topology_changes() - 1, memory_order_relaxed);
    if (heap == NULL || heap == cache_heap_of(cache))
        return;
    cache_empty(cache);
    /* A walk may have had spares in hand then, and put them back. */
    struct magazine *back = NULL;
    cache_registry_lock();
    cache_take_out(cache, &back);
    open_row(cache, heap);
    cache_registry_unlock();
    nh_thread.row = &cache->rows[heap->slot];
    heap_unpack_all(back);
}

/* ---- Beginning and end ---- */

/* A cache with nothing in it. */
static struct cache *cache_new(struct heap *heap, int32_t cpu)
{
    bool fresh;
    struct cache *cache = heap_record(heap, &heap->caches, &fresh);
    if (cache == NULL)
        return NULL;
    /* A used one was left with empty rows and slots, and no share. */
    cache->birthplace = heap;
    cache->cpu = cpu;
    cache->shelf = (uint32_t)cpu % CENTRAL_SHELVES; /* a thread has its own */
    open_row(cache, heap);
    return cache;
}

struct cache *cache_for_cpu(struct heap *heap, uint32_t cpu)
{
    struct cache *cache = cache_registry_find(heap, cpu);
    if (cache == NULL && (cache = cache_new(heap, (int32_t)cpu)) != NULL)
        cache_register(cache);
    return cache;
}

struct cache *cache_begin(void)
{
    if (nh_thread.ended || !process_boot())
        return NULL;
    if (nh_unlikely(harden_on())) {
        /* None has a cache; but on a made-up topology a thread's number says where it is. */
        if (nh_thread.number == 0)
            nh_thread.number =
                atomic_fetch_add_explicit(&caches_begun, 1, memory_order_relaxed) + 1;
        return NULL;
    }
    uint32_t number = atomic_fetch_add_explicit(&caches_begun, 1, memory_order_relaxed);
    cpu_cache_consider(number);
    if (cpu_caches_used() && nh_thread.fixed_slot == 0)
        return cpu_cache_present();
    /* What a thread caches whose end nobody notices would be lost. */
    if (nh_unlikely(!have_end_key))
        return NULL;
    uint32_t changes = topology_changes();
    struct heap *heap = heap_get(present_slot(topology_now(), number));
    struct cache *cache = heap != NULL ? cache_new(heap, CACHE_NO_CPU) : NULL;
    if (cache == NULL)
        return NULL;
    cache->thread_number = number;
    cache->shelf = number % CENTRAL_SHELVES;
    atomic_store_explicit(&cache->changes_seen, changes, memory_order_relaxed);
    nh_thread.row = &cache->rows[heap->slot];
    nh_thread.rows = cache->rows;
    nh_thread.cache = cache;
    cache_registry_lock();
    cache_register(cache);
    cache_registry_unlock();
    /* May call calloc: the cache works by now, or CPUs take over in it.  It may be free that
     * came here, which keeps errno. */
    int saved = errno;
    bool noticed = pthread_setspecific(end_key, cache) == 0;
    errno = saved;
    if (nh_unlikely(!noticed)) {
        nh_thread.ended = true;
        if (nh_thread.cache != NULL)
            cache_end();
    }
    return nh_thread.cache;
}

void cache_end(void)
{
    struct cache *cache = nh_thread.cache;
    nh_thread.row = &row_boot;
    nh_thread.rows = row_boot_rows;
    cache_registry_lock();
    nh_thread.cache = NULL; /* together, for a handler that forks */
    cache_unregister(cache);
    cache_registry_unlock();
    cache_empty(cache);
    fixalloc_put(&cache->birthplace->caches, cache);
}

void cache_thread_end(void *arg)
{
    if (arg != nh_thread.cache || arg == NULL)
        return;
    /* What the thread still frees and allocates goes without a cache. */
    nh_thread.ended = true;
    cache_end();
}

struct heap *cache_heap(void)
{
    struct cache *cache = cache_present();
    if (nh_likely(cache != NULL))
        return cache_heap_of(cache);
    return process_boot() ? heap_get(present_slot(topology_now(), nh_thread.number)) : NULL;
}

unsigned cache_present_slot(void)
{
    const struct cache *cache = nh_thread.cache;
    return cache != NULL ? cache_heap_of(cache)->slot
                         : present_slot(topology_now(), nh_thread.number);
}

void cache_count_free(struct heap *heap)
{
    atomic_fetch_add_explicit(&heap->freed_from[cache_present_slot()], 1, memory_order_relaxed);
}

void cache_fix_slot(unsigned slot)
{
    nh_thread.fixed_slot = (uint8_t)(slot == CACHE_FOLLOW ? 0 : slot + 1);
    if (slot != CACHE_FOLLOW)
        fast_use_told();
    /* The cache that the thread has, or should have, from now on. */
    struct cache *cache = cache_present();
    if (cache != NULL && cache == nh_thread.cache)
        cache_follow_thread(cache);
}

void cache_give_back(void)
{
    struct magazine *taken = NULL;
    if (nh_thread.cache != NULL)
        cache_take_out(nh_thread.cache, &taken);
    cache_registry_lock();
    if (cache_registry_has_idle_cpus() && cpu_cache_close()) {
        cache_registry_take_out(true, &taken);
        cpu_cache_open();
    }
    cache_registry_unlock();
    heap_unpack_all(taken);
}

void cache_flush(void)
{
    struct cache *cache = nh_thread.cache;
    if (cache != NULL) {
        cache_empty(cache);
        cache_follow_thread(cache);
    }
    struct magazine *taken = NULL;
    cache_registry_lock();
    if (cpu_cache_close()) {
        cache_registry_take_out(false, &taken);
        cpu_cache_open();
    }
    cache_registry_unlock();
    heap_unpack_all(taken);
}
