/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * page_heap_metadata.c - free pages that become memory for metadata, where the system gives
 * none: the process has all the addresses, or all the mappings, that it may.
 *
 * To take pages off a free span's beginning or end needs no descriptor, and no call that the
 * system could refuse.  They are metadata for ever and nothing that the span table knows, as if
 * they had been unmapped and mapped again.  Borrowed ones stay lent.
 */
#include "guard_map.h"
#include "memcheck.h"
#include "page_heap.h"
#include "page_heap_internal.h"
#include "span_table.h"

#include <string.h>

/* How many of a run's pages become descriptors at a time: what all the others need, were each a
 * span, but not more than the heap's allocator would have. */
static size_t price(struct page_heap *heap, size_t pages)
{
    size_t most = fixalloc_wish(&heap->spans) >> NH_PAGE_SHIFT;
    size_t all = pages / (NH_PAGE / sizeof(struct span)) + 1;
    return all < most ? all : most;
}

/* Under the lock: pages that no span has any more are not the heap's.  They are zeros then. */
static void detach(struct page_heap *heap, const struct loan *run)
{
    size_t bytes = run->pages << NH_PAGE_SHIFT;
    span_table_clear(run->base, run->pages);
    span_table_uncover(run->base, run->pages);
    if (run->lender == heap->slot)
        heap->mapped_pages -= run->pages;
    memcheck_show((void *)run->base, bytes);
    if (run->needzero)
        memset((void *)run->base, 0, bytes);
}

static void become_descriptors(struct page_heap *heap, const struct loan *run)
{
    detach(heap, run);
    size_t bytes = run->pages << NH_PAGE_SHIFT;
    void *at = guard_enclose((void *)run->base, &bytes);
    fixalloc_add(&heap->spans, at, bytes);
}

void page_heap_spend(struct page_heap *heap, struct span *from, uintptr_t base, size_t pages)
{
    size_t head = (base - from->base) >> NH_PAGE_SHIFT;
    size_t tail = from->pages - head - pages;
    size_t most = head > tail ? head : tail;
    size_t some = price(heap, from->pages);
    if (some > most)
        some = most;
    struct loan run = {
        .base = from->base, .pages = some, .needzero = from->needzero, .lender = from->lender};
    uintptr_t left = from->base;
    if (head > tail)
        left += some << NH_PAGE_SHIFT;
    else
        run.base = span_end(from) - (some << NH_PAGE_SHIFT);
    page_heap_narrow(heap, from, left, from->pages - some);
    become_descriptors(heap, &run);
}

void page_heap_take_in(struct page_heap *heap, const struct loan *run)
{
    struct loan rest = *run;
    struct span *span = page_heap_descriptor(heap, rest.base, rest.pages);
    if (nh_unlikely(span == NULL)) {
        struct loan spent = rest;
        spent.pages = price(heap, rest.pages);
        rest.base += spent.pages << NH_PAGE_SHIFT;
        rest.pages -= spent.pages;
        become_descriptors(heap, &spent);
        if (rest.pages == 0)
            return;
        span = page_heap_descriptor(heap, rest.base, rest.pages);
    }
    span_store(&span->lender, rest.lender);
    span->needzero = rest.needzero;
    span_set_state(span, SPAN_FREE);
    page_heap_insert_free(heap, span);
}

void *page_heap_give(struct page_heap *heap, size_t pages)
{
    lock_acquire(&heap->lock);
    struct span *from = free_set_fit(&heap->clean, pages);
    if (from == NULL)
        from = free_set_fit(&heap->resident, pages);
    struct loan run = {.pages = pages, .lender = (uint8_t)heap->slot};
    if (from != NULL) {
        run.base = from->base;
        run.needzero = from->needzero;
        if (from->pages > pages) {
            page_heap_narrow(heap, from, from->base + (pages << NH_PAGE_SHIFT),
                             from->pages - pages);
        } else {
            page_heap_remove_free(heap, from);
            page_heap_drop(heap, from);
        }
        page_heap_note_clean(heap);
        detach(heap, &run);
    }
    lock_release(&heap->lock);
    return (void *)run.base;
}
