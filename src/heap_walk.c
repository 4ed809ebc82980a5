/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * heap_walk.c - see heap_walk.h.
 */
#include "heap_walk.h"

#include "heap.h"
#include "span_table.h"

/* Looks at the span under its heap's lock, which guards its bounds and state. */
static bool look(struct span *span, uintptr_t at, struct span_view *out)
{
    struct page_heap *pages = &heap_if_exists(span->slot)->pages;
    lock_acquire(&pages->lock);
    *out = (struct span_view){.base = span->base,
                              .pages = span->pages,
                              .state = span_state(span),
                              .slot = span->slot,
                              .lender = span->lender,
                              .cls = span->cls};
    bool here = out->state != SPAN_DEAD && at >= span->base && at < span_end(span);
    lock_release(&pages->lock);
    return here;
}

bool heap_walk(uintptr_t *from, struct span_view *out)
{
    struct span *span;
    while ((span = span_table_next(from)) != NULL) {
        if (look(span, *from, out) && out->base >= round_down(*from, NH_PAGE)) {
            *from = out->base + (out->pages << NH_PAGE_SHIFT);
            return true;
        }
        *from += NH_PAGE; /* a stale entry */
    }
    return false;
}
