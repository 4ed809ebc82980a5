/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Quotas and loans of page heaps: what may be taken, what goes where, and that
 * all pages are accounted for at any time.
 */
#include "unit.h"
#include "unit_loans.h"

#include "os.h"
#include "page_heap.h"
#include "span_table.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CLASS 1

/* Heaps of slots of their own: the span table outlives each test. */
static const struct span *find(uintptr_t address)
{
    struct span_view view;
    return span_table_find(address, &view) == SPAN_FOUND ? view.span : NULL;
}

static struct page_heap *heap_new(void)
{
    static unsigned slot;
    struct page_heap *heap =
        os_map(sizeof(struct page_heap) / NH_SYSTEM_PAGE * NH_SYSTEM_PAGE + NH_SYSTEM_PAGE,
               NH_SYSTEM_PAGE, 0);
    assert_non_null(heap);
    page_heap_init(heap, slot++);
    return heap;
}

static struct span *take(struct page_heap *heap, size_t pages, bool may_grow)
{
    struct span_request want = {pages, 1, SPAN_IN_USE, CLASS, .may_grow = may_grow};
    struct span *span = page_heap_alloc(heap, &want);
    if (span != NULL) {
        assert_int_equal(span->slot, heap->slot);
        assert_int_equal(span->pages, pages);
        memset((void *)span->base, 1, pages * NH_PAGE);
    }
    return span;
}

static void quota_bounds_what_is_taken(void **state)
{
    (void)state;
    struct page_heap *heap = heap_new();
    page_heap_limit(heap, 100, 40);
    assert_int_equal(heap->quota, 40);
    struct span *a = take(heap, 30, true);
    assert_non_null(a);
    assert_int_equal(heap->quota, 10);
    assert_null(take(heap, 11, true)); /* there are clean pages, but not for us */
    assert_true(heap->clean.pages >= 11);
    /* The limit counts what is taken already, whatever the system has. */
    assert_false(page_heap_permit(heap, 71, SIZE_MAX, 10));
    assert_int_equal(heap->quota, 10);
    assert_true(page_heap_permit(heap, 70, SIZE_MAX, 10));
    assert_int_equal(heap->quota, 70);
    assert_true(page_heap_permit(heap, 5, SIZE_MAX, 10)); /* who was granted 70 has them still */
    assert_int_equal(heap->quota, 70);
    /* And the system, whatever the limit. */
    assert_false(page_heap_permit(heap, 5, 4, 10));
    assert_true(page_heap_permit(heap, 5, 7, 10));
    assert_int_equal(heap->quota, 7);
    page_heap_cut_quota(heap, 3);
    assert_int_equal(heap->quota, 3);
    page_heap_cut_quota(heap, 5);
    assert_int_equal(heap->quota, 3);
    /* Resident pages are had already; pages given back may be taken again. */
    page_heap_free(heap, a, false);
    a = take(heap, 20, false);
    assert_non_null(a);
    assert_int_equal(heap->quota, 3);
    assert_int_equal(page_heap_release(heap, 0), 10);
    assert_int_equal(heap->quota, 13);
    page_heap_free(heap, a, true);
    assert_int_equal(heap->quota, 33);
    assert_int_equal(page_heap_used(heap), 0);
}

/* What a program has when its limit comes down it may keep; what it gives back stays away. */
static void a_limit_that_came_down_is_not_passed_again(void **state)
{
    (void)state;
    struct page_heap *heap = heap_new();
    page_heap_limit(heap, 100, 100);
    struct span *a = take(heap, 40, true), *b = take(heap, 40, true);
    page_heap_limit(heap, 50, 0);
    page_heap_free(heap, a, false);
    assert_int_equal(page_heap_release(heap, 0), 40);
    assert_int_equal(page_heap_used(heap), 40);
    assert_int_equal(heap->quota, 10);
    assert_null(take(heap, 11, false));
    a = take(heap, 10, false);
    assert_non_null(a);
    page_heap_free(heap, b, true); /* clean at once */
    assert_int_equal(heap->quota, 40);
    page_heap_free(heap, a, true);
    assert_int_equal(heap->quota, 50);
}

static void quota_holds_when_kinds_merge_and_spans_grow(void **state)
{
    (void)state;
    struct page_heap *heap = heap_new();
    page_heap_limit(heap, SIZE_MAX, 20);
    struct span *a = take(heap, 10, true);
    page_heap_free(heap, a, false);
    /* 10 resident and many clean ones beside them. */
    assert_null(take(heap, 11, false)); /* would take clean pages without leave */
    page_heap_cut_quota(heap, 4);
    a = take(heap, 10, false);
    assert_non_null(a);
    assert_false(page_heap_extend(heap, a, 5));
    assert_true(page_heap_extend(heap, a, 4));
    assert_int_equal(heap->quota, 0);
    assert_int_equal(page_heap_used(heap), 14);
}

static void a_loan_and_its_return(void **state)
{
    (void)state;
    struct page_heap *lender = heap_new(), *borrower = heap_new();
    struct loan loan;
    assert_false(page_heap_lend(lender, 10, 20, false, &loan)); /* has nothing */
    struct span *a = take(lender, 50, true);
    page_heap_free(lender, a, false);
    size_t mapped = lender->mapped_pages;

    assert_false(page_heap_lend(lender, 51, 60, false, &loan)); /* clean ones are no gift */
    assert_true(page_heap_lend(lender, 10, 20, false, &loan));
    assert_int_equal(loan.pages, 20);
    assert_int_equal(loan.lender, lender->slot);
    assert_true(loan.needzero);
    assert_int_equal(lender->lent_pages, 20);
    assert_int_equal(lender->resident.pages, 30);
    assert_null(find(loan.base)); /* on its way it is nobody's */

    page_heap_borrow(borrower, &loan);
    assert_int_equal(borrower->borrowed_pages, 20);
    assert_int_equal(borrower->borrowed.pages, 20);
    assert_int_equal(borrower->mapped_pages, 0);
    struct span *b = take(borrower, 8, false);
    assert_non_null(b);
    assert_int_equal(b->lender, lender->slot);
    struct span *c = take(borrower, 12, false);
    assert_non_null(c);
    assert_null(take(borrower, 1, false));
    assert_false(page_heap_pick_borrowed(borrower, &loan)); /* all in use */

    page_heap_free(borrower, b, false);
    page_heap_free(borrower, c, false);
    assert_true(page_heap_pick_borrowed(borrower, &loan));
    assert_int_equal(loan.pages, 20); /* joined */
    assert_int_equal(borrower->borrowed_pages, 0);
    page_heap_take_back(lender, &loan);
    assert_int_equal(lender->lent_pages, 0);
    assert_int_equal(lender->resident.pages, 50);
    assert_int_equal(lender->resident.pages + lender->clean.pages, mapped);
    assert_non_null(take(lender, 50, false)); /* one run again */
}

static void lenders_do_not_mix(void **state)
{
    (void)state;
    struct page_heap *borrower = heap_new();
    struct page_heap *lender[2] = {heap_new(), heap_new()};
    /* Neighbouring pages of two lenders, made up: 2 * 16 pages in a row. */
    char *at = os_map(32 * NH_PAGE, NH_HUGE, 0);
    assert_non_null(at);
    assert_true(span_table_cover((uintptr_t)at, 32));
    for (unsigned i = 0; i < 2; i++) {
        struct loan loan = {(uintptr_t)at + i * 16 * NH_PAGE, 16, true, (uint8_t)lender[i]->slot};
        page_heap_borrow(borrower, &loan);
    }
    assert_null(take(borrower, 17, false));
    struct span *a = take(borrower, 16, false), *b = take(borrower, 16, false);
    assert_true(a != NULL && b != NULL && a->lender != b->lender);
    assert_false(page_heap_extend(borrower, a, 1));
    page_heap_free(borrower, a, false);
    page_heap_free(borrower, b, false);
    struct loan loan[2];
    assert_true(page_heap_pick_borrowed(borrower, &loan[0]));
    assert_true(page_heap_pick_borrowed(borrower, &loan[1]));
    assert_int_equal(loan[0].pages, 16);
    assert_int_equal(loan[1].pages, 16);
    assert_true(loan[0].lender != loan[1].lender);
}

static void address_space_is_given_back(void **state)
{
    (void)state;
    struct page_heap *heap = heap_new();
    page_heap_limit(heap, SIZE_MAX, 3000);
    struct span *a = take(heap, 1000, true), *b = take(heap, 5, true);
    page_heap_free(heap, a, false);
    assert_false(page_heap_unmap(heap, 900)); /* resident */
    page_heap_release(heap, 0);
    size_t mapped = heap->mapped_pages, clean = heap->clean.pages, quota = heap->quota;
    assert_true(page_heap_unmap(heap, 900));
    assert_int_equal(heap->mapped_pages, mapped - 900);
    assert_int_equal(heap->clean.pages, clean - 900);
    assert_int_equal(heap->quota, quota);
    assert_false(page_heap_unmap(heap, 900));
    /* What is beside the gap still joins, splits and grows as ever. */
    for (size_t pages = 1; pages < 300; pages = pages * 2 + 1) {
        struct span *c = take(heap, pages, true);
        assert_non_null(c);
        page_heap_free(heap, c, false);
    }
    page_heap_free(heap, b, false);
    assert_int_equal(heap->resident.pages + heap->clean.pages, heap->mapped_pages);
}

/* Threads lend, use and return at random among three heaps. */

#define HEAPS 3
#define HELD  40
#define STEPS 20000

static struct page_heap *shared[HEAPS];

static void give_back(struct page_heap *heap, struct span *span)
{
    page_heap_free(heap, span, false);
    loans_repay(heap, shared, HEAPS);
}

static void *trade(void *arg)
{
    unsigned short seed[3] = {(unsigned short)(uintptr_t)arg, 5, 6};
    struct span *held[HELD] = {NULL};
    struct page_heap *of[HELD] = {NULL};
    for (int step = 0; step < STEPS; step++) {
        size_t i = (size_t)nrand48(seed) % HELD;
        if (held[i] != NULL) {
            unsigned char mark = *(unsigned char *)held[i]->base;
            assert_int_equal(mark, *(unsigned char *)(span_end(held[i]) - 1));
            assert_int_equal(mark, (unsigned char)(i + 1));
            give_back(of[i], held[i]);
        }
        of[i] = shared[nrand48(seed) % HEAPS];
        size_t pages = 1 + (size_t)nrand48(seed) % 30;
        struct page_heap *lender = shared[nrand48(seed) % HEAPS];
        struct loan loan;
        if (lender != of[i] && page_heap_lend(lender, pages, 2 * pages, true, &loan))
            page_heap_borrow(of[i], &loan);
        struct span_request want = {pages, 1, SPAN_IN_USE, CLASS, .may_grow = true};
        held[i] = page_heap_alloc(of[i], &want);
        assert_non_null(held[i]);
        *(unsigned char *)held[i]->base = (unsigned char)(i + 1);
        *(unsigned char *)(span_end(held[i]) - 1) = (unsigned char)(i + 1);
    }
    for (size_t i = 0; i < HELD; i++)
        if (held[i] != NULL)
            give_back(of[i], held[i]);
    return NULL;
}

static void trade_of_threads(void **state)
{
    (void)state;
    pthread_t thread[3];
    for (unsigned i = 0; i < HEAPS; i++)
        shared[i] = heap_new();
    for (uintptr_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, trade, (void *)i), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    for (unsigned i = 0; i < HEAPS; i++)
        loans_repay(shared[i], shared, HEAPS);
    for (unsigned i = 0; i < HEAPS; i++) {
        assert_int_equal(shared[i]->lent_pages, 0);
        assert_int_equal(shared[i]->borrowed_pages, 0);
        assert_int_equal(shared[i]->resident.pages + shared[i]->clean.pages,
                         shared[i]->mapped_pages);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quota_bounds_what_is_taken),
        cmocka_unit_test(a_limit_that_came_down_is_not_passed_again),
        cmocka_unit_test(quota_holds_when_kinds_merge_and_spans_grow),
        cmocka_unit_test(a_loan_and_its_return),
        cmocka_unit_test(lenders_do_not_mix),
        cmocka_unit_test(address_space_is_given_back),
        cmocka_unit_test(trade_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
