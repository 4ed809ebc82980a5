/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * page_heap_look.c - what a page heap knows of itself: sizes, and free spans for dumps.
 */
#include "os.h"
#include "page_heap.h"

bool page_heap_look(struct page_heap *heap, const struct span_view *view,
                    struct page_heap_idle *out)
{
    if (view->state != SPAN_FREE)
        return false;
    lock_acquire(&heap->lock);
    /* Its owner changes a free span under this lock: if it is still, it is the heap's. */
    bool still = span_is_still(view);
    if (still) {
        const struct span *span = view->span;
        uint64_t now = os_now_ms();
        out->clean = !span->needzero;
        out->aged = span->needzero && span->lender == heap->slot;
        out->age_ms = out->aged ? now - span->idle.unused_since_ms : 0;
    }
    lock_release(&heap->lock);
    return still;
}

size_t page_heap_free_pages(struct page_heap *heap)
{
    lock_acquire(&heap->lock);
    size_t pages = heap->resident.pages + heap->clean.pages;
    lock_release(&heap->lock);
    return pages;
}

size_t page_heap_used(struct page_heap *heap)
{
    lock_acquire(&heap->lock);
    size_t pages = heap->mapped_pages - heap->clean.pages;
    lock_release(&heap->lock);
    return pages;
}

size_t page_heap_resident_pages(struct page_heap *heap)
{
    lock_acquire(&heap->lock);
    size_t pages = heap->resident.pages;
    lock_release(&heap->lock);
    return pages;
}

size_t page_heap_mapped(struct page_heap *heap)
{
    lock_acquire(&heap->lock);
    size_t pages = heap->mapped_pages;
    lock_release(&heap->lock);
    return pages << NH_PAGE_SHIFT;
}

uint64_t page_heap_released(struct page_heap *heap)
{
    lock_acquire(&heap->lock);
    uint64_t pages = heap->released_pages;
    lock_release(&heap->lock);
    return pages << NH_PAGE_SHIFT;
}

size_t page_heap_limit_pages(struct page_heap *heap)
{
    lock_acquire(&heap->lock);
    size_t pages = heap->limit_pages;
    lock_release(&heap->lock);
    return pages;
}
