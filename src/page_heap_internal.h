/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * page_heap_internal.h - what page_heap.c and page_heap_os.c share; nobody
 * else includes it.  The caller of each holds the heap's lock.
 */
#ifndef NH_PAGE_HEAP_INTERNAL_H
#define NH_PAGE_HEAP_INTERNAL_H

#include "page_heap.h"

/* A DEAD descriptor for [base, base + pages), or NULL. */
struct span *page_heap_descriptor(struct page_heap *heap, uintptr_t base, size_t pages);
/* A FREE span out of the sets, and into them: joined with its neighbours of
 * the same kind, or of both kinds when `across`. */
void page_heap_remove_free(struct page_heap *heap, struct span *span);
void page_heap_insert_free(struct page_heap *heap, struct span *span, bool across);
/* At least `pages` more, in one clean span; false when the system refuses. */
bool page_heap_grow(struct page_heap *heap, size_t pages);

#endif
