/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * heap_span.c - where a span comes from, step by step; see heap_span_alloc.
 *
 * No step holds the locks of two heaps.  Pages that go from heap to heap are in
 * nobody's hands but this thread's for a moment; an allocation elsewhere that
 * would have needed just them takes its own next step.
 */
#include "heap.h"

#include "heap_room.h"
#include "log.h"
#include "numa/placement.h"
#include "numa/topology.h"
#include "numa/usable.h"
#include "options.h"
#include "probe.h"
#include "span_table.h"
#include "watch.h"

/* A heap collects what it is owed before it grows when that is at least this
 * part of its memory: less is not worth taking the depots apart for. */
#define OWED_SHIFT 4

/* Times that others may take what was granted or lent for this thread. */
#define TRIES_MOST 64

static struct span *grow(struct heap *heap, const struct span_request *want, enum pressure pressure)
{
    struct span_request growing = *want;
    growing.may_grow = true;
    struct span *span = NULL;
    for (unsigned i = 0; i < TRIES_MOST && heap_permitted(heap, want->pages, pressure); i++) {
        span = page_heap_alloc(&heap->pages, &growing);
        if (nh_likely(span != NULL) || page_heap_quota(&heap->pages) >= want->pages)
            break;
    }
    return span;
}

/* ---- Loans ---- */

static void count_loan(struct heap *lender, unsigned borrower, size_t pages)
{
    atomic_fetch_add_explicit(&lender->lent_to[borrower], pages, memory_order_relaxed);
}

void heap_repay(struct heap *heap)
{
    struct loan loan;
    while (page_heap_pick_borrowed(&heap->pages, &loan)) {
        struct heap *lender = heap_if_exists(loan.lender);
        if (nh_unlikely(page_heap_take_back(&lender->pages, &loan)))
            watch_begin();
        count_loan(lender, heap->slot, (size_t)0 - loan.pages);
    }
}

/* Others pay back: what they have free, and with `all` what they can free. */
static void call_in_loans(struct heap *heap, bool all)
{
    for (unsigned slot = 0; slot < topology_now()->slots; slot++) {
        struct heap *borrower = heap_if_exists(slot);
        if (slot == heap->slot || borrower == NULL ||
            atomic_load_explicit(&heap->lent_to[slot], memory_order_relaxed) == 0)
            continue;
        if (all)
            heap_reclaim(borrower, true);
        heap_repay(borrower);
    }
}

/* What is borrowed at once grows with each loan (heap_tick begins anew). */
static size_t loan_size(struct heap *heap)
{
    size_t bytes = atomic_load_explicit(&heap->borrow_bytes, memory_order_relaxed);
    if (bytes < NH_BORROW_FIRST)
        bytes = NH_BORROW_FIRST;
    size_t next = bytes < NH_BORROW_MAX ? bytes * 2 : bytes;
    atomic_store_explicit(&heap->borrow_bytes, next, memory_order_relaxed);
    return bytes >> NH_PAGE_SHIFT;
}

static struct span *borrow_from(struct heap *heap, struct heap *lender,
                                const struct span_request *want, bool may_grow)
{
    /* With this many, some aligned run of the length is inside. */
    size_t least, most = loan_size(heap);
    if (__builtin_add_overflow(want->pages, want->align_pages - 1, &least))
        return NULL;
    heap_supply(heap, &heap->pages.spans); /* else each loan would have to */
    struct span *span = NULL;
    for (unsigned i = 0; i < TRIES_MOST && span == NULL; i++) {
        struct loan loan;
        if (!page_heap_lend(&lender->pages, least, most > least ? most : least, may_grow, &loan))
            return NULL;
        count_loan(lender, heap->slot, loan.pages);
        page_heap_borrow(&heap->pages, &loan);
        probe_borrow(heap->slot, lender->slot, loan.pages);
        span = page_heap_alloc(&heap->pages, want); /* another may have used or repaid it */
    }
    return span;
}

/* From what the others have resident and free, the nearest first. */
static struct span *borrow(struct heap *heap, const struct span_request *want)
{
    const struct topology *topology = topology_now();
    for (unsigned i = 1; i < topology->slots; i++) {
        struct heap *lender = heap_if_exists(topology->nearest[heap->slot][i]);
        struct span *span = lender != NULL ? borrow_from(heap, lender, want, false) : NULL;
        if (span != NULL)
            return span;
    }
    return NULL;
}

/* The others grow for it, the nearest first. */
static struct span *borrow_growing(struct heap *heap, const struct span_request *want,
                                   enum pressure pressure)
{
    const struct topology *topology = topology_now();
    for (unsigned i = 1; i < topology->slots; i++) {
        unsigned near = topology->nearest[heap->slot][i];
        struct heap *lender = usable_slot(near) == near ? heap_get(near) : NULL;
        if (lender == NULL ||
            !heap_permitted(lender, want->pages + want->align_pages - 1, pressure))
            continue;
        struct span *span = borrow_from(heap, lender, want, true);
        if (span != NULL)
            return span;
    }
    return NULL;
}

/* ---- The steps ---- */

static bool may_borrow(const struct heap *heap)
{
    return heap->slot != NH_HEAP_INTERLEAVED && topology_now()->slots > 1;
}

/* The node is out of memory, by its limit or the kernel's account. */
static NH_SLOW struct span *alloc_elsewhere(struct heap *heap, const struct span_request *want)
{
    struct span *span = NULL;
    /* Free pages that do not fit one by one: given back, they are room. */
    if (!want->modest && page_heap_resident_pages(&heap->pages) >= want->pages) {
        page_heap_release(&heap->pages, 0);
        span = grow(heap, want, UNUSED_MEMORY);
    }
    if (span == NULL && may_borrow(heap)) {
        call_in_loans(heap, false);
        span = page_heap_alloc(&heap->pages, want);
        if (span == NULL)
            span = borrow(heap, want);
        if (span == NULL)
            span = borrow_growing(heap, want, UNUSED_MEMORY);
    }
    if (span == NULL)
        span = grow(heap, want, ANY_MEMORY);
    if (span == NULL && may_borrow(heap))
        span = borrow_growing(heap, want, ANY_MEMORY);
    return span;
}

/* Waits for others who collect or give back, and gives back everything. */
static void give_back_everything(struct heap *heap)
{
    heap_reclaim(heap, true);
    page_heap_await_release(&heap->pages);
    page_heap_release(&heap->pages, 0);
}

/* Address space that other heaps do not use is room for this one, where a limit is on
 * that: in whole huge pages, or as little as will do, which is easier to find where single
 * objects lie scattered. */
static struct span *grow_over_others(struct heap *heap, const struct span_request *want)
{
    struct span *span = NULL;
    size_t exact = want->pages + want->align_pages;
    size_t sizes[] = {round_up(exact, NH_HUGE_PAGES), exact};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (unsigned slot = 0; slot < NH_HEAPS && span == NULL; slot++) {
            struct heap *other = heap_if_exists(slot);
            if (other != NULL && other != heap && heap_permitted(heap, want->pages, ANY_MEMORY) &&
                page_heap_unmap(&other->pages, sizes[i]))
                span = grow(heap, want, ANY_MEMORY);
        }
    return span;
}

/* The same where what all heaps have is in pieces: whole huge pages of these, as many as are
 * wanted, and as the span table takes where this heap had no addresses before. */
static struct span *grow_over_pieces(struct heap *heap, const struct span_request *want)
{
    size_t need = want->pages + want->align_pages, gone = 0;
    need = round_up(need + span_table_leaf_pages(need), NH_HUGE_PAGES);
    if (!heap_permitted(heap, want->pages, ANY_MEMORY))
        return NULL;
    for (struct heap *other = NULL; gone < need && (other = heap_after(other)) != NULL;)
        gone += page_heap_trim(&other->pages, need - gone);
    return gone != 0 ? grow(heap, want, ANY_MEMORY) : NULL;
}

/* What the kernel gets back is counted in batches, and the tables go that led to it: it may be
 * more than the heap's pages by this part. */
#define GAIN_SHIFT 3

/* Whether to give back everything would not help: more is wanted than all that the heaps have
 * and could be had beside it, be it memory, addresses, or what limits leave.  Else each such
 * request, whose size may come from anybody, would cost the program all its free memory. */
static bool is_in_vain(struct heap *heap, const struct span_request *want)
{
    size_t mapped = 0, limit = 0;
    for (struct heap *other = NULL; (other = heap_after(other)) != NULL;) {
        mapped += page_heap_mapped(&other->pages) >> NH_PAGE_SHIFT;
        size_t most = page_heap_limit_pages(&other->pages);
        if (limit < most &&
            (other == heap || other->slot != NH_HEAP_INTERLEAVED)) /* which lends none */
            limit = most;
    }
    size_t gain = mapped + (mapped >> GAIN_SHIFT);
    if (want->pages <= gain)
        return false;
    if (want->pages > limit)
        return true;
    /* Not less than system_room is told for any heap, however hard the system is pressed. */
    size_t room = room_in_pages(placement_works() ? room_of_process() : room_of_cgroup());
    if (want->pages - gain > room)
        return true;
    return heap_system_refuses(want->pages - gain);
}

static NH_SLOW struct span *alloc_at_last(struct heap *heap, const struct span_request *want)
{
    if (is_in_vain(heap, want))
        return NULL;
    size_t mapped = page_heap_mapped(&heap->pages) >> NH_PAGE_SHIFT;
    if (want->pages <= mapped) { /* else it cannot help */
        heap_reclaim(heap, true);
        page_heap_await_release(&heap->pages);
        struct span *span = page_heap_alloc(&heap->pages, want);
        if (span != NULL)
            return span;
    }
    if (may_borrow(heap))
        call_in_loans(heap, true);
    for (unsigned slot = 0; slot < NH_HEAPS; slot++)
        if (heap_if_exists(slot) != NULL)
            give_back_everything(heap_if_exists(slot));
    struct span *span = grow(heap, want, ANY_MEMORY);
    if (span == NULL)
        span = grow_over_others(heap, want);
    if (span == NULL)
        span = alloc_elsewhere(heap, want);
    return span != NULL ? span : grow_over_pieces(heap, want);
}

/* Whether there is memory for what the span table says of so many pages.  A kernel that maps
 * whatever is asked for (mode 1 of overcommit) would kill the process that writes it. */
static bool table_fits(size_t pages)
{
    uint64_t bytes = span_table_bytes(pages);
    if (nh_likely(bytes <= NH_TABLE_UNASKED))
        return true;
    return bytes <= heap_machine_room() >> NH_TABLE_SHIFT;
}

/* Why to give back everything would not help, or NULL. */
static const char *hopeless(const struct span_request *want)
{
    size_t most = (size_t)1 << (NH_ADDRESS_BITS - NH_PAGE_SHIFT);
    if (want->pages > most || want->align_pages > most)
        return "more than there are addresses";
    return table_fits(want->pages) ? NULL : "no memory for the tables that so much needs";
}

/* The steps, each taken when those before it found nothing:
 *   1. free pages of this heap, within its quota (heap_span_alloc);
 *   2. what the heap is owed (depots, spares, batches of other nodes), if much;
 *   3. growth, where the node has unused memory;
 *   4. free resident pages of other heaps, the nearest first; they pay back theirs;
 *   5. growth of other nodes, the nearest first;
 *   6. growth at the cost of files in memory;
 *   7. everything that any heap could give back, if that may help, and steps 3 to 6 again. */
static struct span *alloc_slowly(struct heap *heap, const struct span_request *want)
{
    struct span *span = NULL;
    size_t mapped = page_heap_mapped(&heap->pages);
    size_t owed = heap_owed(heap);
    if (owed >= want->pages << NH_PAGE_SHIFT && owed >= mapped >> OWED_SHIFT) {
        heap_try_reclaim(heap);
        span = page_heap_alloc(&heap->pages, want);
    }
    heap_renew_grant(heap);
    if (span == NULL)
        span = grow(heap, want, UNUSED_MEMORY);
    if (span == NULL)
        span = alloc_elsewhere(heap, want);
    return span != NULL || want->modest ? span : alloc_at_last(heap, want);
}

/* Whose limit it was, as well as it can be told afterwards. */
static const char *refused_by(struct heap *heap, const struct span_request *want)
{
    const char *why = hopeless(want);
    if (why != NULL)
        return why;
    if (page_heap_used(&heap->pages) + want->pages > page_heap_limit_pages(&heap->pages))
        return "NEARHEAP_NODE_LIMIT";
    if (heap_system_refuses(want->pages))
        return "the kernel maps no more: its commit limit, ulimit -v or -d, or mappings";
    return "no room on the nodes that may be used, or in the control group";
}

void heap_span_refused(struct heap *heap, const struct span_request *want)
{
    if (want->modest)
        return;
    char room[PAGE_HEAP_PLACE_ROOM];
    atomic_fetch_add_explicit(&heap->refusals, 1, memory_order_relaxed);
    if (options_get(OPT_VERBOSE) >= (long)LOG_INFO)
        log_line(LOG_INFO, "out of memory: %zu bytes refused on %s (%zu bytes mapped): %s",
                 want->pages << NH_PAGE_SHIFT, page_heap_place(&heap->pages, room),
                 page_heap_mapped(&heap->pages), refused_by(heap, want));
}

struct span *heap_span_try(struct heap *heap, const struct span_request *want)
{
    struct span *span = page_heap_alloc(&heap->pages, want);
    if (nh_likely(span != NULL))
        return span;
    return hopeless(want) == NULL ? alloc_slowly(heap, want) : NULL;
}

struct span *heap_span_alloc(struct heap *heap, const struct span_request *want)
{
    struct span *span = heap_span_try(heap, want);
    if (nh_unlikely(span == NULL))
        heap_span_refused(heap, want);
    return span;
}

void heap_span_shrink(struct heap *heap, struct span *span, size_t pages)
{
    bool borrowed = span->lender != heap->slot;
    if (nh_unlikely(page_heap_shrink(&heap->pages, span, pages)))
        watch_begin();
    if (nh_unlikely(borrowed))
        heap_repay(heap);
}

void heap_span_free(struct heap *heap, struct span *span, bool zeroed)
{
    bool borrowed = span->lender != heap->slot;
    if (nh_unlikely(page_heap_free(&heap->pages, span, zeroed)))
        watch_begin();
    if (nh_unlikely(borrowed))
        heap_repay(heap);
}
