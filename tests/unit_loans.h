/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit_loans.h - what a heap of a unit test has borrowed and does not use goes home, as
 * heap_repay does it between a process's heaps.
 */
#ifndef NH_TEST_UNIT_LOANS_H
#define NH_TEST_UNIT_LOANS_H

#include "page_heap.h"

/* `heaps` are all that may have lent. */
static void loans_repay(struct page_heap *heap, struct page_heap *const heaps[], unsigned count)
{
    struct loan loan;
    while (page_heap_pick_borrowed(heap, &loan))
        for (unsigned i = 0; i < count; i++)
            if (heaps[i]->slot == loan.lender)
                page_heap_take_back(heaps[i], &loan);
}

#endif
