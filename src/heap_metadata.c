/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * heap_metadata.c - memory for what heaps have beside their pages: the system's, or where
 * it gives none, free pages of a heap, of any other if need be.
 */
#include "guard_map.h"
#include "heap.h"
#include "numa/placement.h"

/* Free pages of `heap` for `most` bytes, else for `least`; *bytes is how many it took. */
static void *take(struct heap *heap, size_t least, size_t most, size_t *bytes)
{
    *bytes = round_up(guard_room(most), NH_PAGE);
    void *at = page_heap_give(&heap->pages, *bytes >> NH_PAGE_SHIFT);
    if (at == NULL && least < most) {
        *bytes = round_up(guard_room(least), NH_PAGE);
        at = page_heap_give(&heap->pages, *bytes >> NH_PAGE_SHIFT);
    }
    return at;
}

/* The same of any heap, `near` (may be NULL) before others, for the heap of `slot`. */
static void *take_from_any(struct heap *near, unsigned slot, size_t least, size_t most,
                           size_t *bytes)
{
    void *at = near != NULL ? take(near, least, most, bytes) : NULL;
    for (unsigned i = 0; at == NULL && i < NH_HEAPS; i++) {
        struct heap *heap = heap_if_exists(i);
        if (heap == NULL)
            continue;
        page_heap_await_release(&heap->pages); /* what is on its way is free then */
        at = take(heap, least, most, bytes);
        if (at != NULL && i != slot)
            placement_assign(at, *bytes, slot);
    }
    return at != NULL ? guard_enclose(at, bytes) : NULL;
}

void *heap_memory(unsigned slot, size_t bytes)
{
    bytes = round_up(bytes, NH_SYSTEM_PAGE);
    void *at = guard_map(bytes);
    if (at == NULL)
        return take_from_any(NULL, slot, bytes, bytes, &bytes);
    placement_assign(at, bytes, slot);
    return at;
}

void heap_supply(struct heap *heap, struct fixalloc *fix)
{
    if (nh_likely(fixalloc_ready(fix)))
        return;
    size_t bytes;
    void *at = take_from_any(heap, heap->slot, fix->record, fixalloc_wish(fix), &bytes);
    if (at != NULL)
        fixalloc_add(fix, at, bytes);
}

void *heap_record(struct heap *heap, struct fixalloc *fix, bool *fresh)
{
    void *record = fixalloc_get(fix, fresh);
    if (nh_likely(record != NULL))
        return record;
    heap_supply(heap, fix);
    return fixalloc_get(fix, fresh);
}
