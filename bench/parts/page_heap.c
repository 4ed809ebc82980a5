/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * page_heap.c - free spans that join their neighbours, and pages that one node's
 * heap takes from another's.
 *
 * In heaps of our own, that no thread allocates from; their pages are never
 * touched, so that of their memory only the address space is used.
 */
#include "parts.h"

#include "os.h"
#include "page_heap.h"
#include "span_table.h"

#include <stdlib.h>

/* A heap of a slot that no node's heap has, but on a machine with 63 nodes. */
static const struct span *find(uintptr_t address)
{
    struct span_view view;
    return span_table_find(address, &view) == SPAN_FOUND ? view.span : NULL;
}

static struct page_heap *heap_new(void)
{
    static unsigned slot = NH_NODES_MAX;
    struct page_heap *heap =
        os_map(round_up(sizeof(struct page_heap), NH_SYSTEM_PAGE), NH_SYSTEM_PAGE, 0);
    if (heap != NULL)
        page_heap_init(heap, --slot);
    return heap;
}

static struct span *take(struct page_heap *heap, size_t pages, bool may_grow)
{
    struct span_request want = {
        .pages = pages, .align_pages = 1, .state = SPAN_MANUAL, .may_grow = may_grow};
    return page_heap_alloc(heap, &want);
}

/* A heap with one free resident span of `pages` (resident by its books); NULL without
 * memory. */
static struct page_heap *heap_with(size_t pages)
{
    struct page_heap *heap = heap_new();
    struct span *span = heap != NULL ? take(heap, pages, true) : NULL;
    if (span == NULL)
        return NULL;
    page_heap_free(heap, span, false);
    return heap;
}

/* Three neighbours, and one that keeps them from the next three.  Their lengths
 * differ so that the shortest fit lays them side by side again and again: the
 * first cuts a joined span, the second its rest, the third takes what is left. */
struct place {
    struct span *before, *middle, *after, *guard;
    uintptr_t base;
};
#define BEFORE_PAGES 1
#define MIDDLE_PAGES 3
#define AFTER_PAGES  2
#define JOINED_PAGES (BEFORE_PAGES + MIDDLE_PAGES + AFTER_PAGES)
#define GUARD_PAGES  1

#define PLACES_LEAST 256 /* so that stopping the clock weighs little */
#define PLACES_MOST  8192

/* All neighbours of the middles free, the middles not. */
static bool lay_out(struct page_heap *heap, struct place *place, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct place *p = &place[i];
        p->before = take(heap, BEFORE_PAGES, false);
        p->middle = take(heap, MIDDLE_PAGES, false);
        p->after = take(heap, AFTER_PAGES, false);
        if (p->guard == NULL)
            p->guard = take(heap, GUARD_PAGES, false);
        if (p->before == NULL || p->middle == NULL || p->after == NULL || p->guard == NULL ||
            span_end(p->before) != p->middle->base || span_end(p->middle) != p->after->base)
            return false;
        p->base = p->before->base;
    }
    for (size_t i = 0; i < count; i++) {
        page_heap_free(heap, place[i].before, false);
        page_heap_free(heap, place[i].after, false);
    }
    return true;
}

static bool all_joined(const struct place *place, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct span *span = find(place[i].base);
        if (span == NULL || span_state(span) != SPAN_FREE || span->pages != JOINED_PAGES)
            return false;
    }
    return true;
}

/* By free spans of the heap: freeing one whose neighbours are both free. */
static void coalesce(struct bench_state *state)
{
    static struct page_heap *heap; /* one free span between runs */
    size_t count = (size_t)bench_range(state, 0);
    if (heap == NULL)
        heap = heap_with((size_t)PLACES_MOST * (JOINED_PAGES + GUARD_PAGES));
    struct place *place = calloc(count, sizeof *place);
    if (heap == NULL || place == NULL) {
        bench_skip(state, "no memory");
        free(place);
        return;
    }
    while (bench_keep_running_batch(state, (int64_t)count)) {
        bench_pause(state);
        if (!lay_out(heap, place, count)) {
            bench_skip(state, "the spans did not join, so they are not laid out as before");
            free(place);
            return;
        }
        bench_resume(state);
        for (size_t i = 0; i < count; i++)
            page_heap_free(heap, place[parts_scatter(i, count)].middle, false);
    }
    if (!all_joined(place, count))
        bench_skip(state, "spans did not join");
    for (size_t i = 0; i < count; i++)
        page_heap_free(heap, place[i].guard, false);
    free(place);
    bench_complexity_n(state, (int64_t)count);
}

/* By pages: free pages of one heap to another, and home again. */
static void steal(struct bench_state *state)
{
    static struct page_heap *lender, *borrower;
    size_t most = NH_BORROW_MAX >> NH_PAGE_SHIFT;
    size_t pages = (size_t)bench_range(state, 0);
    /* More than is lent, so that a part is cut off and joined again. */
    if (lender == NULL)
        lender = heap_with(most * 2);
    if (borrower == NULL)
        borrower = heap_new();
    if (lender == NULL || borrower == NULL) {
        bench_skip(state, "no memory");
        return;
    }
    size_t stocked = lender->resident.pages;
    bool moved = true;
    while (bench_keep_running(state)) {
        struct loan out = {0}, back = {0};
        moved &= page_heap_lend(lender, pages, pages, false, &out);
        if (moved)
            page_heap_borrow(borrower, &out);
        moved &= page_heap_pick_borrowed(borrower, &back);
        if (moved)
            page_heap_take_back(lender, &back);
        moved &= back.base == out.base && back.pages == pages;
    }
    if (!moved || lender->resident.pages != stocked || lender->lent_pages != 0)
        bench_skip(state, "pages did not move, or not home");
    bench_complexity_n(state, (int64_t)pages);
}

void parts_register_page_heap(void)
{
    struct bench *b = bench_register("coalesce", coalesce);
    bench_arg_range(b, PLACES_LEAST, PLACES_MOST, 4);
    bench_complexity(b, BENCH_FLAT);

    b = bench_register("steal", steal);
    bench_arg_range(b, NH_BORROW_FIRST >> NH_PAGE_SHIFT, NH_BORROW_MAX >> NH_PAGE_SHIFT, 4);
    bench_complexity(b, BENCH_FLAT);
}
