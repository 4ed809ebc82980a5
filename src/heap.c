/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * heap.c - see heap.h.
 */
#include "heap.h"

#include "bad_pointer.h"
#include "cache.h"
#include "harden.h"
#include "heap_room.h"
#include "node_limit.h"
#include "numa/usable.h"
#include "options.h"
#include "os.h"
#include "special.h"
#include "watch.h"

/* Depots and outboxes are not looked at more often: it takes files of the kernel, and each large
 * object would. */
#define TICK_LEAST_MS 10

static NH_TOGETHER _Atomic(struct heap *) heaps[NH_HEAPS]; /* release; pairs with heap_if_exists */
static NH_TOGETHER struct lock creation = LOCK_INIT(LOCK_HEAPS);
/* Memory of a heap that could not be created for want of more; guarded by creation. */
static struct heap *unborn;

struct heap *heap_if_exists(unsigned slot)
{
    return atomic_load_explicit(&heaps[slot], memory_order_acquire);
}

struct heap *heap_after(const struct heap *heap)
{
    for (unsigned slot = heap != NULL ? heap->slot + 1 : 0; slot < NH_HEAPS; slot++) {
        struct heap *next = heap_if_exists(slot);
        if (next != NULL)
            return next;
    }
    return NULL;
}

static struct heap *create(unsigned slot)
{
    /* It is zeroed: what is not set here starts empty. */
    struct heap *heap = unborn != NULL ? unborn : heap_memory(slot, sizeof(struct heap));
    unborn = heap;
    if (heap == NULL || (harden_on() && (heap->harden = harden_heap_new(slot)) == NULL))
        return NULL;
    unborn = NULL;
    heap->slot = slot;
    lock_init(&heap->reclaiming, LOCK_RECLAIM);
    lock_init(&heap->inbox.lock, LOCK_INBOX);
    page_heap_init(&heap->pages, slot);
    page_heap_limit(&heap->pages, node_limit_pages(slot), NH_QUOTA_FIRST >> NH_PAGE_SHIFT);
    fixalloc_init(&heap->magazines, sizeof(struct magazine), sizeof(struct magazine), slot);
    fixalloc_init(&heap->caches, cache_bytes(), NH_CACHE_LINE, slot);
    fixalloc_init(&heap->specials, sizeof(struct special), _Alignof(struct special), slot);
    heap_renew_grant(heap);
    return heap;
}

static struct heap *get_or_create(unsigned slot)
{
    lock_acquire(&creation);
    struct heap *heap = atomic_load_explicit(&heaps[slot], memory_order_relaxed);
    if (heap == NULL) {
        heap = create(slot);
        /* A handler of fork's: its locks are released with all others. */
        if (nh_unlikely(heap != NULL && (lock_depth & LOCK_FORKING) != 0)) {
            lock_acquire(&heap->reclaiming);
            heap_lock_all(heap);
            harden_fork_lock(heap);
        }
        atomic_store_explicit(&heaps[slot], heap, memory_order_release);
    }
    lock_release(&creation);
    return heap;
}

struct heap *heap_get(unsigned slot)
{
    struct heap *heap = heap_if_exists(slot);
    return nh_likely(heap != NULL) ? heap : get_or_create(slot);
}

struct central *heap_begin_central(struct heap *heap, unsigned cls)
{
    lock_acquire(&creation);
    unsigned place = atomic_load_explicit(&heap->place[cls], memory_order_relaxed);
    if (place == 0) {
        place = heap_centrals(heap) + 1;
        central_init(&heap->central[place], heap, cls);
        /* As in get_or_create. */
        if (nh_unlikely((lock_depth & LOCK_FORKING) != 0))
            lock_acquire(&heap->central[place].lock);
        atomic_store_explicit(&heap->centrals, (uint8_t)place, memory_order_release);
        atomic_store_explicit(&heap->place[cls], (uint8_t)place, memory_order_release);
    }
    lock_release(&creation);
    return &heap->central[place];
}

void heap_change_rounds(void)
{
    lock_acquire(&creation); /* who is created now reads the option before or after */
    for (unsigned slot = 0; slot < NH_HEAPS; slot++) {
        struct heap *heap = heap_if_exists(slot);
        for (unsigned i = 1; heap != NULL && i <= heap_centrals(heap); i++)
            central_renew_rounds(&heap->central[i]);
    }
    lock_release(&creation);
}

void heap_change_limits(const char *text)
{
    lock_acquire(&creation);
    node_limit_change(text);
    for (unsigned slot = 0; slot < NH_HEAPS; slot++) {
        struct heap *heap = heap_if_exists(slot);
        if (heap != NULL)
            page_heap_limit(&heap->pages, node_limit_pages(slot), 0);
    }
    lock_release(&creation);
}

void heap_creation_lock(void)
{
    lock_acquire_again(&creation);
}

void heap_creation_unlock(void)
{
    lock_release_again(&creation);
}

void heap_renew_grant(struct heap *heap)
{
    size_t caches = atomic_load_explicit(&heap->cache_count, memory_order_relaxed);
    size_t used = page_heap_used(&heap->pages) << NH_PAGE_SHIFT;
    atomic_store_explicit(&heap->granted, cache_share_granted(used, caches), memory_order_relaxed);
}

struct magazine *heap_magazine_new(struct heap *heap)
{
    bool fresh;
    struct magazine *magazine = heap_record(heap, &heap->magazines, &fresh);
    if (nh_unlikely(magazine == NULL)) {
        /* No memory anywhere; but depots and caches have empty ones. */
        heap_reclaim(heap, true);
        magazine = heap_record(heap, &heap->magazines, &fresh);
    }
    if (magazine != NULL) {
        magazine->count = 0;
        magazine->maker = heap->slot;
    }
    return magazine;
}

size_t heap_owed(struct heap *heap)
{
    size_t owed = 0;
    for (unsigned i = 1; i <= heap_centrals(heap); i++) {
        struct central *central = &heap->central[i];
        lock_acquire(&central->lock);
        owed += central->free_in_depot * central->cut.bytes;
        lock_release(&central->lock);
    }
    return owed;
}

/* Under the lock, which it releases. */
static void reclaim_locked(struct heap *heap, bool all)
{
    struct bad_pointers bad;
    bad_pointer_gather(&bad);
    if (all) {
        cache_collect(heap);
        heap_open_inbox(heap, UINT32_MAX);
        atomic_fetch_add_explicit(&heap->reclaims, 1, memory_order_relaxed);
    }
    for (unsigned i = 1; i <= heap_centrals(heap); i++)
        central_drain(&heap->central[i], all);
    lock_release(&heap->reclaiming);
    bad_pointer_gathered(&bad);
}

void heap_reclaim(struct heap *heap, bool all)
{
    lock_acquire(&heap->reclaiming);
    reclaim_locked(heap, all);
}

void heap_reclaim_everything(void)
{
    cache_flush();
    (void)harden_drain();
    for (struct heap *heap = NULL; (heap = heap_after(heap)) != NULL;)
        heap_reclaim(heap, true);
}

static void try_reclaim(struct heap *heap, bool all)
{
    if (lock_try(&heap->reclaiming))
        reclaim_locked(heap, all);
}

void heap_try_reclaim(struct heap *heap)
{
    try_reclaim(heap, true);
}

size_t heap_waiting_pages(struct heap *heap)
{
    return page_heap_resident_pages(&heap->pages) + (heap_owed(heap) >> NH_PAGE_SHIFT);
}

uint64_t heap_tick_ms(void)
{
    long decay = options_get(OPT_DECAY);
    if (decay < 0) /* nothing goes back to the system, but time has other work */
        decay = options_row(OPT_DECAY)->dflt;
    uint64_t period = (uint64_t)decay / NH_DECAY_STEPS;
    return period < TICK_LEAST_MS ? TICK_LEAST_MS : period;
}

bool heap_tick(struct heap *heap)
{
    /* Before the clock, which is not before what another one wrote here then. */
    uint64_t last = atomic_load_explicit(&heap->ticked_ms, memory_order_acquire);
    uint64_t now = os_now_ms();
    if (now - last < heap_tick_ms()) {
        if (nh_unlikely(page_heap_more_is_due(&heap->pages)))
            page_heap_decay(&heap->pages);
        return false;
    }
    if (!atomic_compare_exchange_strong_explicit(&heap->ticked_ms, &last, now, memory_order_relaxed,
                                                 memory_order_relaxed))
        return false;
    (void)usable_refresh();
    cache_collect_outboxes();
    cache_collect_idle(heap);
    heap_open_all_inboxes();
    try_reclaim(heap, false);
    heap_repay(heap);
    heap_renew_quota(heap);
    heap_renew_grant(heap);
    atomic_store_explicit(&heap->borrow_bytes, 0, memory_order_relaxed);
    page_heap_decay(&heap->pages);
    watch_for(heap_waiting_pages(heap));
    if (page_heap_has_much(&heap->pages))
        watch_begin();
    return true;
}

void heap_lock_all(struct heap *heap)
{
    lock_acquire_again(&heap->inbox.lock);
    for (unsigned i = 1; i <= heap_centrals(heap); i++)
        lock_acquire_again(&heap->central[i].lock);
    lock_acquire_again(&heap->pages.turn);
    lock_acquire_again(&heap->pages.releasing);
    lock_acquire_again(&heap->pages.lock);
    lock_acquire_again(&heap->pages.spans.lock);
    lock_acquire_again(&heap->magazines.lock);
    lock_acquire_again(&heap->caches.lock);
    lock_acquire_again(&heap->specials.lock);
}

void heap_unlock_all(struct heap *heap)
{
    lock_release_again(&heap->specials.lock);
    lock_release_again(&heap->caches.lock);
    lock_release_again(&heap->magazines.lock);
    lock_release_again(&heap->pages.spans.lock);
    lock_release_again(&heap->pages.lock);
    lock_release_again(&heap->pages.releasing);
    lock_release_again(&heap->pages.turn);
    for (unsigned i = heap_centrals(heap); i > 0; i--)
        lock_release_again(&heap->central[i].lock);
    lock_release_again(&heap->inbox.lock);
}
