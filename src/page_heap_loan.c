/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * page_heap_loan.c - free pages that one heap lends another.
 *
 * A run of pages on its way has no descriptor, and nothing in the span table
 * at its ends: a neighbour that is freed meanwhile must not join what it finds
 * there.  Each heap describes pages by its own descriptors only, so that a
 * descriptor's slot never changes.
 */
#include "page_heap.h"
#include "page_heap_internal.h"
#include "span_table.h"

/* The run leaves the heap: its descriptor, which is FREE, changing, and out of the
 * sets, goes. */
static void hand_over(struct page_heap *heap, struct span *span, struct loan *out)
{
    *out = (struct loan){.base = span->base,
                         .pages = span->pages,
                         .needzero = span->needzero,
                         .lender = span->lender};
    span_table_set_ends(span, NULL);
    page_heap_drop(heap, span);
}

static struct span *find(struct page_heap *lender, size_t pages, bool clean)
{
    struct span *span = free_set_fit(&lender->resident, pages);
    if (span == NULL && clean && pages <= lender->quota)
        span = free_set_fit(&lender->clean, pages);
    return span;
}

bool page_heap_lend(struct page_heap *lender, size_t least, size_t most, bool may_grow,
                    struct loan *out)
{
    lock_acquire(&lender->lock);
    struct span *from = find(lender, most, may_grow);
    if (from == NULL)
        from = find(lender, least, may_grow);
    if (from == NULL && may_grow && least <= lender->quota && page_heap_grow(lender, least))
        from = find(lender, least, true);
    if (from != NULL) {
        size_t pages = from->pages < most ? from->pages : most;
        if (!from->needzero && pages > lender->quota)
            pages = lender->quota; /* least at least */
        struct span *piece = page_heap_carve_to_use(lender, from, from->base, pages, SPAN_MANUAL);
        lender->lends++;
        lender->lent_pages += piece->pages;
        span_set_state(piece, SPAN_FREE);
        hand_over(lender, piece, out);
    }
    lock_release(&lender->lock);
    return from != NULL;
}

void page_heap_borrow(struct page_heap *borrower, const struct loan *loan)
{
    lock_acquire(&borrower->lock);
    page_heap_take_in(borrower, loan);
    borrower->borrows++;
    borrower->borrowed_pages += loan->pages;
    lock_release(&borrower->lock);
}

bool page_heap_pick_borrowed(struct page_heap *borrower, struct loan *out)
{
    lock_acquire(&borrower->lock);
    struct span *span = free_set_fit(&borrower->borrowed, 1);
    if (span != NULL) {
        page_heap_remove_free(borrower, span);
        borrower->borrowed_pages -= span->pages;
        hand_over(borrower, span, out);
    }
    lock_release(&borrower->lock);
    return span != NULL;
}

bool page_heap_take_back(struct page_heap *lender, const struct loan *loan)
{
    lock_acquire(&lender->lock);
    if (!loan->needzero)
        page_heap_refund(lender, loan->pages);
    page_heap_take_in(lender, loan);
    lender->lent_pages -= loan->pages;
    bool much = page_heap_is_much(lender);
    lock_release(&lender->lock);
    return much;
}
