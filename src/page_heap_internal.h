/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * page_heap_internal.h - what the files page_heap*.c share; nobody
 * else includes it.  The caller of each holds the heap's lock.
 */
#ifndef NH_PAGE_HEAP_INTERNAL_H
#define NH_PAGE_HEAP_INTERNAL_H

#include "page_heap.h"

/* Descriptors come and go in the midst of a change (span_change): who is given one
 * describes it further and settles it. */

/* A DEAD descriptor for [base, base + pages), changing, or NULL. */
struct span *page_heap_descriptor(struct page_heap *heap, uintptr_t base, size_t pages);
/* A FREE span out of the sets, changing from then on. */
void page_heap_remove_free(struct page_heap *heap, struct span *span);
/* A changing one into the sets, joined with its neighbours of the same kind, and
 * settled. */
void page_heap_insert_free(struct page_heap *heap, struct span *span);
/* Takes [base, base + pages) out of a free span that holds it; what is left
 * of that stays free, at its age.  The piece's descriptor has state `state` and is
 * changing. */
struct span *page_heap_carve(struct page_heap *heap, struct span *from, uintptr_t base,
                             size_t pages, enum span_state state);
/* The same of pages that will be written to: clean ones are taken out of the quota. */
struct span *page_heap_carve_to_use(struct page_heap *heap, struct span *from, uintptr_t base,
                                    size_t pages, enum span_state state);
/* A free span that is in the sets keeps these of its pages, at its age. */
void page_heap_narrow(struct page_heap *heap, struct span *from, uintptr_t base, size_t pages);
/* A FREE descriptor without pages, changing, back to its allocator. */
void page_heap_drop(struct page_heap *heap, struct span *span);
/* The same of a MANUAL piece whose pages went elsewhere. */
void page_heap_retire(struct page_heap *heap, struct span *piece);
/* Clean pages were taken. */
void page_heap_note_clean(struct page_heap *heap);
/* Pages that become clean, before they are put among these, may be taken again, but for those
 * beyond the limit, which may have come down. */
void page_heap_refund(struct page_heap *heap, size_t clean_pages);
/* page_heap_has_much, by who holds the lock. */
NH_INLINE bool page_heap_is_much(const struct page_heap *heap)
{
    return heap->resident.pages >= heap->watch_pages;
}
/* At least `pages` more, in one clean span; false when the system refuses. */
bool page_heap_grow(struct page_heap *heap, size_t pages);

/* ---- Pages for metadata (page_heap_metadata.c) ---- */

/* Where the system gives no memory for descriptors, some of a free span's pages become some,
 * two at least; but none of [base, base + pages), which is not all of it. */
void page_heap_spend(struct page_heap *heap, struct span *from, uintptr_t base, size_t pages);
/* Free pages that have no descriptor get one, and are the heap's.  Where there is none to be
 * had, some of them become descriptors. */
void page_heap_take_in(struct page_heap *heap, const struct loan *run);

#endif
