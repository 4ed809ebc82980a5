/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cache.c - the slow paths of a cache: refill, flush, frees that are not local;
 * and a thread's own: moves between nodes, beginning and end.
 *
 * A magazine is taken out of one place before it is put in the next, so that
 * nobody ever finds it in two.
 */
#include "cache.h"

#include "bad_pointer.h"
#include "cpu_cache.h"
#include "fast.h"
#include "large.h"
#include "numa/current.h"
#include "process.h"
#include "span_table.h"

#include <pthread.h>

/* Objects of the first refill of a class; each further one takes twice as
 * many, up to a magazine: a thread that allocates little holds little. */
#define FIRST_WANT   4
#define NEVER_WANTED 0

/* Frees of a thread without a cache before it gets one. */
#define FREES_WITHOUT 16

void *const row_no_magazine[1] __attribute__((aligned(NH_MAGAZINE_BYTES))) = {NULL};
struct row row_boot = {.bin = {[0 ... NH_CLASSES - 1] = NO_TOP}};
struct row row_boot_rows[NH_NODES_MAX];

_Thread_local struct thread_state nh_thread = {.row = &row_boot, .rows = row_boot_rows};

static pthread_key_t end_key;
static bool have_end_key;
static _Atomic uint32_t caches_begun;

size_t cache_bytes(void)
{
    return round_up(sizeof(struct cache) + topology_now()->slots * sizeof(struct row),
                    NH_CACHE_LINE);
}

void cache_init(void)
{
    /* Fails only when the program has used up all keys; then the caches of
     * ended threads are lost. */
    have_end_key = pthread_key_create(&end_key, cache_thread_end) == 0;
    cpu_cache_boot();
}

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
    atomic_store_explicit(&row->bin[cls], top, memory_order_relaxed);
    return true;
}

NH_INLINE struct magazine *take_spare(struct cache *cache, unsigned cls)
{
    /* A look first: an exchange costs more, and most slots are empty. */
    if (atomic_load_explicit(&cache->spare[cls], memory_order_relaxed) == NULL)
        return NULL;
    return atomic_exchange_explicit(&cache->spare[cls], NULL, memory_order_acquire);
}

/* Keeps a magazine as the spare; one that is there already, of a thread that was
 * here meanwhile, goes to the central list. */
NH_INLINE void put_spare(struct cache *cache, unsigned cls, struct magazine *magazine)
{
    atomic_store_explicit(&cache->spare_count[cls], (uint8_t)magazine->count, memory_order_relaxed);
    struct magazine *there =
        atomic_exchange_explicit(&cache->spare[cls], magazine, memory_order_acq_rel);
    if (nh_unlikely(there != NULL))
        central_retire(&cache_heap_of(cache)->central[cls], there);
}

/* Where a magazine goes that the thread has in hand. */
NH_INLINE void stow(struct cache *cache, unsigned cls, void **top, unsigned rounds)
{
    if (nh_unlikely(!load(cache, cls, top)))
        put_spare(cache, cls, magazine_unload(top, rounds));
}

static struct magazine *take_outbox(struct cache *cache, unsigned slot)
{
    if (atomic_load_explicit(&cache->outbox[slot], memory_order_relaxed) == NULL)
        return NULL;
    return atomic_exchange_explicit(&cache->outbox[slot], NULL, memory_order_acquire);
}

/* ---- Nodes ---- */

void cache_empty(struct cache *cache)
{
    struct heap *heap = cache_heap_of(cache);
    struct row *row = &cache->rows[heap->slot];
    for (unsigned cls = 1; cls < NH_CLASSES; cls++) {
        struct central *central = &heap->central[cls];
        void **top = atomic_load_explicit(&row->bin[cls], memory_order_relaxed);
        atomic_store_explicit(&row->bin[cls], NO_TOP, memory_order_relaxed);
        struct magazine *spare = take_spare(cache, cls);
        if (top != NO_TOP)
            central_retire(central, magazine_unload(top, central->rounds));
        if (spare != NULL)
            central_retire(central, spare);
        atomic_store_explicit(&cache->want[cls], NEVER_WANTED, memory_order_relaxed);
    }
    for (unsigned slot = 0; slot < topology_now()->slots; slot++) {
        struct magazine *outbox = take_outbox(cache, slot);
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
    atomic_store_explicit(&cache->heap, heap, memory_order_relaxed);
}

/* The slot the thread's memory comes from now. */
static unsigned present_slot(const struct topology *topology, uint32_t thread_number)
{
    uint32_t cpu;
    return nh_thread.fixed_slot != 0 ? nh_thread.fixed_slot - 1U
                                     : current_slot(topology, thread_number, &cpu);
}

/* Makes a thread's cache one of the node the thread runs on now. */
static void follow_thread(struct cache *cache)
{
    /* Before what it counts is read. */
    atomic_store_explicit(&cache->changes_seen, topology_changes(), memory_order_relaxed);
    struct heap *heap = heap_get(present_slot(topology_now(), cache->thread_number));
    if (heap == NULL || heap == cache_heap_of(cache))
        return;
    cache_empty(cache);
    open_row(cache, heap);
    nh_thread.row = &cache->rows[heap->slot];
}

static bool may_have_moved(const struct cache *cache)
{
    return (topology_now()->slots > 1 && nh_thread.fixed_slot == 0) ||
           atomic_load_explicit(&cache->changes_seen, memory_order_relaxed) != topology_changes();
}

/* ---- Beginning and end ---- */

/* A cache with nothing in it. */
static struct cache *cache_new(struct heap *heap, int32_t cpu)
{
    bool fresh;
    struct cache *cache = fixalloc_get(&heap->caches, &fresh);
    if (cache == NULL)
        return NULL;
    /* A used one was left with empty rows and slots. */
    cache->birthplace = heap;
    cache->cpu = cpu;
    for (unsigned cls = 0; cls < NH_CLASSES; cls++)
        atomic_store_explicit(&cache->want[cls], NEVER_WANTED, memory_order_relaxed);
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

/* The first cache of a thread: its own, unless CPUs have them by now. */
static NH_SLOW struct cache *begin(void)
{
    if (nh_thread.ended || !process_boot())
        return NULL;
    uint32_t number = atomic_fetch_add_explicit(&caches_begun, 1, memory_order_relaxed);
    cpu_cache_consider(number);
    if (cpu_caches_used() && nh_thread.fixed_slot == 0)
        return cpu_cache_present();
    uint32_t changes = topology_changes();
    struct heap *heap = heap_get(present_slot(topology_now(), number));
    struct cache *cache = heap != NULL ? cache_new(heap, CACHE_NO_CPU) : NULL;
    if (cache == NULL)
        return NULL;
    cache->thread_number = number;
    atomic_store_explicit(&cache->changes_seen, changes, memory_order_relaxed);
    nh_thread.row = &cache->rows[heap->slot];
    nh_thread.rows = cache->rows;
    nh_thread.cache = cache;
    cache_registry_lock();
    cache_register(cache);
    cache_registry_unlock();
    /* May call calloc: the cache works by now. */
    if (have_end_key)
        (void)pthread_setspecific(end_key, cache);
    return cache;
}

/* Gives the thread's own cache back. */
static void end(void)
{
    struct cache *cache = nh_thread.cache;
    nh_thread.row = &row_boot;
    nh_thread.rows = row_boot_rows;
    nh_thread.cache = NULL;
    cache_registry_lock();
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
    end();
}

/* The cache to use now, of the node the thread runs on; NULL when there is none. */
NH_INLINE struct cache *present(void)
{
    struct cache *cache = nh_thread.cache;
    if (cpu_caches_used() && nh_likely(nh_thread.fixed_slot == 0)) {
        if (nh_unlikely(cache != NULL))
            end();
        return cpu_cache_present();
    }
    if (nh_unlikely(cache == NULL))
        return begin();
    if (nh_unlikely(may_have_moved(cache)))
        follow_thread(cache);
    return cache;
}

struct heap *cache_heap(void)
{
    struct cache *cache = present();
    if (nh_likely(cache != NULL))
        return cache_heap_of(cache);
    return process_boot() ? heap_get(present_slot(topology_now(), 0)) : NULL;
}

_Thread_local uint32_t cache_tick_calls
    __attribute__((visibility("hidden"), tls_model("initial-exec")));

void cache_tick(void)
{
    struct heap *heap = cache_heap();
    if (heap != NULL)
        heap_tick(heap);
}

void cache_count_free(struct heap *heap)
{
    const struct cache *cache = nh_thread.cache;
    unsigned from = cache != NULL ? cache_heap_of(cache)->slot : present_slot(topology_now(), 0);
    atomic_fetch_add_explicit(&heap->freed_from[from], 1, memory_order_relaxed);
}

void cache_fix_slot(unsigned slot)
{
    nh_thread.fixed_slot = (uint8_t)(slot == CACHE_FOLLOW ? 0 : slot + 1);
    if (slot != CACHE_FOLLOW) {
        cache_registry_lock();
        fast_use_told();
        cache_registry_unlock();
    }
    /* The cache that the thread has, or should have, from now on. */
    struct cache *cache = present();
    if (cache != NULL && cache == nh_thread.cache)
        follow_thread(cache);
}

void cache_flush(void)
{
    struct cache *cache = nh_thread.cache;
    if (cache != NULL) {
        cache_empty(cache);
        follow_thread(cache);
    }
    cache_registry_lock();
    if (cpu_cache_close()) {
        cache_registry_empty_cpus();
        cpu_cache_open();
    }
    cache_registry_unlock();
}

/* ---- malloc ---- */

/* A magazine with objects for one that has none, or for NULL; NULL without memory,
 * the empty one is the caller's still then. */
static struct magazine *exchange_empty(struct cache *cache, unsigned cls, struct magazine *empty)
{
    struct heap *heap = cache_heap_of(cache);
    struct central *central = &heap->central[cls];
    /* What came home is put away by those who will want it. */
    if (nh_unlikely(atomic_load_explicit(&heap->inbox.count, memory_order_relaxed) != 0))
        heap_open_inbox(heap, 1);
    unsigned want = atomic_load_explicit(&cache->want[cls], memory_order_relaxed);
    if (want == NEVER_WANTED)
        want = FIRST_WANT;
    if (want > central->rounds)
        want = central->rounds;
    struct magazine *full = central_exchange_empty(central, empty, want);
    if (nh_likely(full != NULL)) {
        unsigned next = want * 2 > central->rounds ? central->rounds : want * 2;
        atomic_store_explicit(&cache->want[cls], (uint8_t)next, memory_order_relaxed);
        cache_count_call();
    }
    return full;
}

void *cache_refill(unsigned cls)
{
    struct cache *cache = present();
    if (nh_unlikely(cache == NULL)) {
        struct heap *heap = cache_heap();
        return heap != NULL ? central_take_one(&heap->central[cls]) : NULL;
    }
    unsigned rounds = cache_heap_of(cache)->central[cls].rounds;
    void **top = unload(cache, cls);
    struct magazine *spare = NULL;
    /* Not empty if another thread of the CPU loaded one, or the thread has moved. */
    if (nh_likely(top == NULL || *top == NULL)) {
        struct magazine *loaded = top != NULL ? magazine_unload(top, rounds) : NULL;
        struct magazine *full = take_spare(cache, cls);
        if (full != NULL && full->count != 0) {
            spare = loaded;
        } else {
            /* Both are empty: one goes for a full one. */
            struct magazine *empty = full != NULL ? full : loaded;
            spare = full != NULL ? loaded : NULL;
            full = exchange_empty(cache, cls, empty);
            if (nh_unlikely(full == NULL)) {
                if (empty != NULL)
                    stow(cache, cls, magazine_load(empty, rounds), rounds);
                if (spare != NULL)
                    put_spare(cache, cls, spare);
                return NULL;
            }
        }
        top = magazine_load(full, rounds);
    }
    void *object = *top;
    stow(cache, cls, top + 1, rounds);
    if (spare != NULL)
        put_spare(cache, cls, spare);
    return object;
}

/* ---- free ---- */

/* The bin of the object's class is full, or has no magazine. */
static void free_local(struct cache *cache, unsigned cls, void *object)
{
    struct heap *heap = cache_heap_of(cache);
    struct central *central = &heap->central[cls];
    unsigned rounds = central->rounds;
    void **top = unload(cache, cls);
    if (nh_unlikely(top != NULL && *top == object)) {
        stow(cache, cls, top, rounds);
        bad_pointer_report("free", object);
        return;
    }
    /* Made elsewhere, as this cache never had one of its class: its neighbours are in use
     * there, perhaps on the same cache line. */
    if (nh_unlikely(top == NULL && atomic_load_explicit(&cache->want[cls], memory_order_relaxed) ==
                                       NEVER_WANTED)) {
        atomic_store_explicit(&cache->want[cls], FIRST_WANT, memory_order_relaxed);
        central_put(central, &object, 1);
        return;
    }
    struct magazine *spare = NULL;
    /* There is room, as in cache_refill, when others were here. */
    if (nh_likely(top == NULL || magazine_top_full(top))) {
        struct magazine *loaded = top != NULL ? magazine_unload(top, rounds) : NULL;
        struct magazine *into = take_spare(cache, cls);
        if (into != NULL && into->count != 0 && (loaded != NULL || into->count == rounds))
            into = central_exchange_full(central, into);
        if (into == NULL)
            into = heap_magazine_new(heap);
        if (nh_unlikely(into == NULL)) {
            if (loaded != NULL)
                stow(cache, cls, magazine_load(loaded, rounds), rounds);
            central_put(central, &object, 1);
            return;
        }
        spare = loaded;
        top = magazine_load(into, rounds);
    }
    *--top = object;
    stow(cache, cls, top, rounds);
    if (spare != NULL)
        put_spare(cache, cls, spare);
}

/* An object of another node waits in its outbox for company. */
static void free_remote(struct cache *cache, struct heap *home, void *object)
{
    struct magazine *outbox = take_outbox(cache, home->slot);
    if (outbox == NULL)
        outbox = heap_magazine_new(cache_heap_of(cache));
    if (nh_unlikely(outbox == NULL)) {
        uint32_t word = span_table_home((uintptr_t)object);
        cache_count_free(home);
        central_put(&home->central[row_home_class(word)], &object, 1);
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
    if (cls == NH_CLASS_LARGE) {
        large_free(ptr);
        return;
    }
    if (nh_unlikely(cls == NH_CLASS_PAGES)) {
        bad_pointer_report("free", ptr);
        return;
    }
    struct heap *home = heap_if_exists(row_home_slot(word));
    /* glibc frees for a thread even after its destructors: a cache that began
     * there would never end. */
    struct cache *cache = NULL;
    if (nh_thread.cache != NULL || cpu_caches_used() || nh_thread.frees_without++ >= FREES_WITHOUT)
        cache = present();
    if (nh_unlikely(cache == NULL)) {
        cache_count_free(home);
        central_put(&home->central[cls], &ptr, 1);
    } else if (home == cache_heap_of(cache)) {
        free_local(cache, cls, ptr);
    } else {
        free_remote(cache, home, ptr);
    }
}
