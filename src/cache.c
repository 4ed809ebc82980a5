/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cache.c - the slow paths of a thread's own cache: refill, flush, frees that
 * are not local, moves between nodes, and the cache's beginning and end.
 *
 * A magazine is taken out of one place before it is put in the next, so that
 * nobody ever finds it in two.
 */
#include "cache.h"

#include "bad_pointer.h"
#include "large.h"
#include "numa/current.h"
#include "process.h"
#include "span_table.h"

#include <pthread.h>

/* Objects of the first refill of a class; each further one takes twice as
 * many, up to a magazine: a thread that allocates little holds little. */
#define FIRST_WANT 4

/* Frees of a thread without a cache before it gets one. */
#define FREES_WITHOUT 16

/* Refills between two looks at the clock. */
#define TICK_REFILLS 64

/* What bins without a magazine point to: empty, and full.  Aligned as a
 * magazine, so that it is not taken for a place inside one (cache_count). */
static void *const no_magazine[1] __attribute__((aligned(NH_MAGAZINE_BYTES))) = {NULL};
#define NO_TOP ((void **)(uintptr_t)no_magazine)

/* A thread without a cache: all bins of its row are empty and full, all bins
 * of its rows are full. */
static struct row boot_row = {
    .bin = {[0 ... NH_CLASSES - 1] = {.top = NO_TOP, .limit = NO_TOP}},
    .cpu_now = &boot_row.cpu,
};
static struct row boot_rows[NH_NODES_MAX];

_Thread_local struct thread_state nh_thread = {.row = &boot_row, .rows = boot_rows};

static pthread_key_t end_key;
static bool have_end_key;
static _Atomic uint32_t threads_begun;

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
}

/* ---- Bins ---- */

static struct heap *heap_of(const struct cache *cache)
{
    return atomic_load_explicit(&cache->heap, memory_order_relaxed);
}

static void **top_of(const struct bin *bin)
{
    return atomic_load_explicit(&bin->top, memory_order_relaxed);
}

static void set_bin(struct bin *bin, void **top, void **limit)
{
    atomic_store_explicit(&bin->top, top, memory_order_relaxed);
    bin->limit = limit;
}

/* The loaded magazine with its count set, or NULL; the bin has none then. */
static struct magazine *unload(struct bin *bin)
{
    void **top = top_of(bin);
    if (bin->limit == NO_TOP || bin->limit == NULL)
        return NULL;
    struct magazine *magazine = magazine_of(top);
    magazine->count = (uint32_t)(top - magazine->slot);
    set_bin(bin, NO_TOP, NO_TOP);
    return magazine;
}

static void load(struct bin *bin, struct magazine *magazine, unsigned rounds)
{
    set_bin(bin, &magazine->slot[magazine->count], &magazine->slot[rounds]);
}

static void *pop(struct bin *bin)
{
    void **top = top_of(bin);
    if (*top != NULL)
        atomic_store_explicit(&bin->top, top - 1, memory_order_relaxed);
    return *top;
}

static struct magazine *take_spare(struct cache *cache, unsigned cls)
{
    /* A look first: an exchange costs more, and most slots are empty. */
    if (atomic_load_explicit(&cache->spare[cls], memory_order_relaxed) == NULL)
        return NULL;
    return atomic_exchange_explicit(&cache->spare[cls], NULL, memory_order_acquire);
}

static void put_spare(struct cache *cache, unsigned cls, struct magazine *magazine)
{
    /* The slot is empty: only the owner fills it. */
    atomic_store_explicit(&cache->spare_count[cls], (uint8_t)magazine->count, memory_order_relaxed);
    atomic_store_explicit(&cache->spare[cls], magazine, memory_order_release);
}

static struct magazine *take_outbox(struct cache *cache, unsigned slot)
{
    if (atomic_load_explicit(&cache->outbox[slot], memory_order_relaxed) == NULL)
        return NULL;
    return atomic_exchange_explicit(&cache->outbox[slot], NULL, memory_order_acquire);
}

/* ---- Nodes ---- */

/* Gives back everything.  The row is left with bins that are empty and full,
 * which serves a row of another node as well as zeros do. */
static void empty_cache(struct cache *cache)
{
    struct heap *heap = heap_of(cache);
    struct row *row = &cache->rows[heap->slot];
    for (unsigned cls = 0; cls < NH_CLASSES; cls++) {
        struct magazine *loaded = unload(&row->bin[cls]);
        struct magazine *spare = take_spare(cache, cls);
        if (loaded != NULL)
            central_retire(&heap->central[cls], loaded);
        if (spare != NULL)
            central_retire(&heap->central[cls], spare);
        cache->want[cls] = FIRST_WANT;
    }
    for (unsigned slot = 0; slot < topology_now()->slots; slot++) {
        struct magazine *outbox = take_outbox(cache, slot);
        if (outbox != NULL)
            heap_send(heap_if_exists(slot), outbox);
    }
}

static void open_row(struct cache *cache, struct heap *heap)
{
    struct row *row = &cache->rows[heap->slot];
    for (unsigned cls = 0; cls < NH_CLASSES; cls++)
        set_bin(&row->bin[cls], NO_TOP, NO_TOP);
    atomic_store_explicit(&cache->heap, heap, memory_order_relaxed);
    nh_thread.row = row;
}

/* The slot the thread's memory comes from now. */
static unsigned present_slot(const struct topology *topology, uint32_t thread_number, uint32_t *cpu)
{
    unsigned slot = current_slot(topology, thread_number, cpu);
    return nh_thread.fixed_slot != 0 ? nh_thread.fixed_slot - 1U : slot;
}

/* Makes the cache one of the node the thread runs on now. */
static void follow_thread(struct cache *cache)
{
    cache->changes_seen = topology_changes(); /* before what it counts is read */
    const struct topology *topology = topology_now();
    bool follows = topology->slots > 1 && nh_thread.fixed_slot == 0;
    uint32_t cpu;
    struct heap *heap = heap_get(present_slot(topology, cache->thread_number, &cpu));
    struct heap *before = heap_of(cache);
    if (heap != NULL && heap != before) {
        if (before != NULL)
            empty_cache(cache);
        open_row(cache, heap);
    }
    struct row *row = nh_thread.row;
    row->cpu = cpu;
    row->cpu_now = follows ? current_cpu_watch() : NULL;
    /* Without the kernel's record, ask at each refill. */
    cache->ask_always = follows && row->cpu_now == NULL;
    if (row->cpu_now == NULL)
        row->cpu_now = &row->cpu;
}

static bool may_have_moved(const struct cache *cache)
{
    const struct row *row = nh_thread.row;
    return *row->cpu_now != row->cpu || cache->changes_seen != topology_changes() ||
           cache->ask_always;
}

/* ---- Beginning and end ---- */

static NH_SLOW struct cache *begin(void)
{
    if (nh_thread.ended || !process_boot())
        return NULL;
    uint32_t number = atomic_fetch_add_explicit(&threads_begun, 1, memory_order_relaxed);
    uint32_t cpu;
    struct heap *heap = heap_get(present_slot(topology_now(), number, &cpu));
    if (heap == NULL)
        return NULL;
    bool fresh;
    struct cache *cache = fixalloc_get(&heap->caches, &fresh);
    if (cache == NULL)
        return NULL;
    /* A used one was left with empty rows and slots. */
    cache->birthplace = heap;
    cache->thread_number = number;
    for (unsigned cls = 0; cls < NH_CLASSES; cls++)
        cache->want[cls] = FIRST_WANT;
    atomic_store_explicit(&cache->heap, NULL, memory_order_relaxed);
    open_row(cache, heap);
    nh_thread.rows = cache->rows;
    nh_thread.cache = cache;
    follow_thread(cache);
    cache_register(cache);
    /* May call calloc: the cache works by now. */
    if (have_end_key)
        (void)pthread_setspecific(end_key, cache);
    return cache;
}

void cache_thread_end(void *arg)
{
    struct cache *cache = arg;
    if (cache != nh_thread.cache)
        return;
    /* What the thread still frees and allocates goes without a cache. */
    nh_thread.ended = true;
    nh_thread.row = &boot_row;
    nh_thread.rows = boot_rows;
    nh_thread.cache = NULL;
    cache_unregister(cache);
    empty_cache(cache);
    fixalloc_put(&cache->birthplace->caches, cache);
}

/* The thread's cache, of the node it runs on; NULL when it can have none. */
static struct cache *present(void)
{
    struct cache *cache = nh_thread.cache;
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
        return heap_of(cache);
    if (!process_boot())
        return NULL;
    uint32_t cpu;
    return heap_get(present_slot(topology_now(), 0, &cpu));
}

void cache_count_free(struct heap *heap)
{
    const struct cache *cache = nh_thread.cache;
    uint32_t cpu;
    unsigned from = cache != NULL ? heap_of(cache)->slot : present_slot(topology_now(), 0, &cpu);
    atomic_fetch_add_explicit(&heap->freed_from[from], 1, memory_order_relaxed);
}

void cache_fix_slot(unsigned slot)
{
    nh_thread.fixed_slot = (uint8_t)(slot == CACHE_FOLLOW ? 0 : slot + 1);
    if (nh_thread.cache != NULL)
        follow_thread(nh_thread.cache);
}

void cache_flush(void)
{
    struct cache *cache = nh_thread.cache;
    if (cache == NULL)
        return;
    empty_cache(cache);
    open_row(cache, heap_of(cache));
    follow_thread(cache);
}

/* ---- malloc ---- */

/* One in TICK_REFILLS looks whether time has work to do. */
static void count_refill(struct heap *heap)
{
    static _Thread_local __attribute__((tls_model("initial-exec"))) uint32_t refills;
    if (nh_unlikely(refills++ % TICK_REFILLS == 0))
        heap_tick(heap);
}

void *cache_refill(unsigned cls)
{
    struct cache *cache = present();
    if (nh_unlikely(cache == NULL)) {
        struct heap *heap = cache_heap();
        return heap != NULL ? central_take_one(&heap->central[cls]) : NULL;
    }
    struct bin *bin = &nh_thread.row->bin[cls];
    void *object = pop(bin);
    if (object != NULL)
        return object;

    struct heap *heap = heap_of(cache);
    struct central *central = &heap->central[cls];
    struct magazine *spare = take_spare(cache, cls);
    struct magazine *loaded = unload(bin);
    if (spare != NULL && spare->count != 0) {
        load(bin, spare, central->rounds);
        if (loaded != NULL)
            put_spare(cache, cls, loaded);
        return pop(bin);
    }

    /* What came home is put away by those who will want it. */
    if (nh_unlikely(atomic_load_explicit(&heap->inbox.count, memory_order_relaxed) != 0))
        heap_open_inbox(heap, 1);

    /* Both are empty: one goes for a full one. */
    unsigned want = cache->want[cls];
    if (want > central->rounds)
        want = central->rounds;
    struct magazine *given = spare != NULL ? spare : loaded;
    struct magazine *kept = spare != NULL ? loaded : NULL;
    struct magazine *full = central_exchange_empty(central, given, want);
    if (nh_unlikely(full == NULL)) {
        if (given != NULL)
            load(bin, given, central->rounds);
        if (kept != NULL)
            put_spare(cache, cls, kept);
        return NULL;
    }
    cache->want[cls] = (uint8_t)(want * 2 > central->rounds ? central->rounds : want * 2);
    load(bin, full, central->rounds);
    if (kept != NULL)
        put_spare(cache, cls, kept);
    object = pop(bin);
    count_refill(heap);
    return object;
}

/* ---- free ---- */

static void push(struct bin *bin, void *object)
{
    void **top = top_of(bin) + 1;
    *top = object;
    atomic_store_explicit(&bin->top, top, memory_order_relaxed);
}

/* The bin of the object's class is full, or has no magazine. */
static void free_local(struct cache *cache, unsigned cls, void *object)
{
    struct bin *bin = &nh_thread.row->bin[cls];
    struct central *central = &heap_of(cache)->central[cls];
    if (nh_unlikely(*top_of(bin) == object)) {
        bad_pointer_report("free", object);
        return;
    }
    if (top_of(bin) != bin->limit) { /* the thread had moved, and is home again */
        push(bin, object);
        return;
    }
    struct magazine *spare = take_spare(cache, cls);
    struct magazine *loaded = unload(bin);
    if (spare != NULL && spare->count != 0 && loaded != NULL)
        spare = central_exchange_full(central, spare);
    if (spare == NULL)
        spare = heap_magazine_new(heap_of(cache));
    if (nh_unlikely(spare == NULL)) {
        if (loaded != NULL)
            load(bin, loaded, central->rounds);
        central_put(central, &object, 1);
        return;
    }
    load(bin, spare, central->rounds);
    if (loaded != NULL)
        put_spare(cache, cls, loaded);
    push(bin, object);
}

/* An object of another node waits in its outbox for company. */
static void free_remote(struct cache *cache, struct heap *home, void *object)
{
    struct magazine *outbox = take_outbox(cache, home->slot);
    if (outbox == NULL)
        outbox = heap_magazine_new(heap_of(cache));
    if (nh_unlikely(outbox == NULL)) {
        uint32_t word = span_table_home((uintptr_t)object);
        cache_count_free(home);
        central_put(&home->central[row_home_class(word)], &object, 1);
        return;
    }
    outbox->slot[++outbox->count] = object;
    if (outbox->count == MAGAZINE_ROUNDS)
        heap_send(home, outbox);
    else
        atomic_store_explicit(&cache->outbox[home->slot], outbox, memory_order_release);
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
    if (nh_thread.cache != NULL || nh_thread.frees_without++ >= FREES_WITHOUT)
        cache = present();
    if (nh_unlikely(cache == NULL)) {
        cache_count_free(home);
        central_put(&home->central[cls], &ptr, 1);
    } else if (home == heap_of(cache)) {
        free_local(cache, cls, ptr);
    } else {
        free_remote(cache, home, ptr);
    }
}
