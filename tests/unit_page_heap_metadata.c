/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Page heaps where the system refuses memory for metadata, or all of it: their own free pages
 * become descriptors, none is lost, and they grow by a mapping that is there already.
 *
 * The linker puts functions of this file before three of os.h.  Each test has heaps of its own in
 * addresses of their own (a slot has a terabyte).
 */
#include "readable.h"
#include "unit.h"
#include "unit_loans.h"

#include "guard_map.h"
#include "os.h"
#include "page_heap.h"
#include "span_table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#define CLASS       1
#define DESCRIPTORS (NH_PAGE / sizeof(struct span)) /* in a page */

static enum { GRANTED, NO_LEAVES, NO_MAPPINGS, NOTHING } refusing;

void *__wrap_os_map(size_t bytes, size_t alignment, uintptr_t hint);
void *__real_os_map(size_t bytes, size_t alignment, uintptr_t hint);
void *__wrap_os_map(size_t bytes, size_t alignment, uintptr_t hint)
{
    bool refused =
        refusing >= NO_MAPPINGS || (refusing == NO_LEAVES && bytes == sizeof(struct table_leaf));
    return refused ? NULL : __real_os_map(bytes, alignment, hint);
}

bool __wrap_os_unmap(void *at, size_t bytes);
bool __real_os_unmap(void *at, size_t bytes);
bool __wrap_os_unmap(void *at, size_t bytes)
{
    return refusing != NOTHING && __real_os_unmap(at, bytes);
}

bool __wrap_os_extend(uintptr_t end, size_t bytes);
bool __real_os_extend(uintptr_t end, size_t bytes);
bool __wrap_os_extend(uintptr_t end, size_t bytes)
{
    return refusing != NOTHING && __real_os_extend(end, bytes);
}

#define HEAPS_MOST 24

static struct page_heap *heap_new(void)
{
    static struct page_heap heaps[HEAPS_MOST];
    static unsigned slot;
    assert_true(slot < HEAPS_MOST);
    struct page_heap *heap = &heaps[slot];
    page_heap_init(heap, slot++);
    /* In the midst of what a leaf covers: that growth needs a new one is for one test. */
    const uintptr_t covered = (uintptr_t)1 << TABLE_LEAF_SHIFT;
    heap->grown_at = round_down(heap->grown_at, covered) + covered / 2;
    return heap;
}

/* A span that begins and ends with its address, or NULL. */
static struct span *take_aligned(struct page_heap *heap, size_t pages, size_t align_pages)
{
    struct span_request want = {pages, align_pages, SPAN_IN_USE, CLASS, .may_grow = true};
    struct span *span = page_heap_alloc(heap, &want);
    if (span != NULL) {
        assert_int_equal(span->base % (align_pages * NH_PAGE), 0);
        *(uintptr_t *)span->base = span->base;
        *(uintptr_t *)(span_end(span) - sizeof(uintptr_t)) = span->base;
    }
    return span;
}

static struct span *take(struct page_heap *heap, size_t pages)
{
    return take_aligned(heap, pages, 1);
}

static void drop(struct page_heap *heap, struct span *span)
{
    assert_int_equal(*(uintptr_t *)span->base, span->base);
    assert_int_equal(*(uintptr_t *)(span_end(span) - sizeof(uintptr_t)), span->base);
    page_heap_free(heap, span, false);
}

static bool found(uintptr_t at)
{
    struct span_view view;
    return span_table_find(at, &view) == SPAN_FOUND;
}

/* Uses up the descriptors that the heap has, and lets it have no more of the system's. */
static void starve(struct page_heap *heap)
{
    bool fresh;
    refusing = NOTHING;
    while (fixalloc_get(&heap->spans, &fresh) != NULL)
        ;
}

/* So many free pages in one span that were used before, and no descriptor for another. */
static struct page_heap *starved(size_t pages, bool clean)
{
    refusing = GRANTED;
    struct page_heap *heap = heap_new();
    struct span *span = take(heap, pages);
    assert_non_null(span);
    memset((void *)span->base, 0xee, pages * NH_PAGE);
    page_heap_free(heap, span, clean && os_release((void *)span->base, pages * NH_PAGE));
    starve(heap);
    return heap;
}

/* All pages are in sets, but some. */
static void is_whole_but(struct page_heap *heap, size_t in_use)
{
    assert_int_equal(heap->resident.pages + heap->clean.pages + heap->lent_pages + in_use,
                     heap->mapped_pages);
}

static void is_whole(struct page_heap *heap)
{
    is_whole_but(heap, 0);
}

/* ---- Own pages ---- */

/* Takes single pages until there are no more, and frees them: how many there were. */
static size_t fill(struct page_heap *heap)
{
    static struct span *held[8 * NH_HUGE_PAGES];
    size_t n = 0;
    for (struct span *span; (span = take(heap, 1)) != NULL; held[n++] = span)
        assert_true(n < sizeof(held) / sizeof(*held));
    for (size_t i = 0; i < n; i++)
        drop(heap, held[i]);
    return n;
}

static void all_pages_are_had_but_those_of_descriptors(void **state)
{
    (void)state;
    for (int clean = 0; clean < 2; clean++) {
        struct page_heap *heap = starved(4 * NH_HUGE_PAGES, clean);
        size_t before = heap->mapped_pages, had = fixalloc_mapped(&heap->spans);
        uintptr_t base = heap->grown_at;
        size_t n = fill(heap);
        size_t spent = (fixalloc_mapped(&heap->spans) - had) / NH_PAGE;
        assert_int_equal(n + spent, before);
        assert_int_equal(heap->mapped_pages, n);
        assert_in_range(spent, before / (DESCRIPTORS + 1), before / DESCRIPTORS + 2);
        is_whole(heap);
        size_t there = 0;
        for (size_t i = 0; i < before; i++)
            there += found(base + i * NH_PAGE);
        assert_int_equal(there, n);
        assert_int_equal(fill(heap), n); /* they are there now */
    }
}

/* A piece from the midst needs two, and one page beside it is enough for them. */
static void a_piece_from_the_midst(void **state)
{
    (void)state;
    struct page_heap *heap = starved(NH_HUGE_PAGES, false);
    struct span *span = take_aligned(heap, 64, 64);
    assert_non_null(span);
    drop(heap, span);
    is_whole(heap);
    assert_int_equal(heap->mapped_pages, NH_HUGE_PAGES - NH_HUGE_PAGES / DESCRIPTORS - 1);

    heap = starved(NH_HUGE_PAGES, false);
    span = take(heap, NH_HUGE_PAGES - 1);
    assert_non_null(span); /* all but the page for its descriptor */
    assert_int_equal(heap->mapped_pages, NH_HUGE_PAGES - 1);
    assert_int_equal(page_heap_free_pages(heap), 0);
    drop(heap, span);
    is_whole(heap);
}

static void spans_grow_and_shrink_in_place(void **state)
{
    (void)state;
    struct page_heap *heap = starved(NH_HUGE_PAGES, false);
    struct span *span = take(heap, NH_HUGE_PAGES / 2);
    assert_non_null(span);
    starve(heap);
    page_heap_shrink(heap, span, 10);
    assert_int_equal(span->pages, 10);
    assert_false(found(span_end(span))); /* descriptors, for what is behind them */
    uintptr_t behind = span_end(span) + (NH_HUGE_PAGES / 2 - 10) / DESCRIPTORS * NH_PAGE + NH_PAGE;
    assert_true(found(behind));
    assert_false(page_heap_extend(heap, span, 1));
    page_heap_free(heap, span, false);
    is_whole(heap);

    heap = starved(NH_HUGE_PAGES, false);
    span = take(heap, 10);
    starve(heap);
    assert_true(page_heap_extend(heap, span, 20));
    assert_int_equal(span->pages, 30);
    *(uintptr_t *)(span_end(span) - sizeof(uintptr_t)) = span->base;
    drop(heap, span);
    is_whole(heap);
}

static void what_is_given_is_zero_and_nobodys(void **state)
{
    (void)state;
    for (int clean = 0; clean < 2; clean++) {
        struct page_heap *heap = starved(NH_HUGE_PAGES, clean);
        assert_null(page_heap_give(heap, NH_HUGE_PAGES + 1));
        const char *at = page_heap_give(heap, 3);
        assert_non_null(at);
        for (size_t i = 0; i < 3 * NH_PAGE; i++)
            assert_int_equal(at[i], 0);
        for (size_t i = 0; i < 3; i++)
            assert_false(found((uintptr_t)at + i * NH_PAGE));
        is_whole(heap);
        assert_non_null(page_heap_give(heap, NH_HUGE_PAGES - 3)); /* a whole span */
        assert_int_equal(heap->mapped_pages, 0);
        is_whole(heap);
        assert_null(page_heap_give(heap, 1));
    }
}

/* ---- Loans ---- */

static void a_loan_brings_descriptors(void **state)
{
    (void)state;
    struct page_heap *lender = starved(NH_HUGE_PAGES, false);
    struct page_heap *borrower = heap_new();
    struct loan loan;
    assert_true(page_heap_lend(lender, 200, 200, false, &loan));
    page_heap_borrow(borrower, &loan);
    assert_int_equal(borrower->borrowed_pages, 200);
    size_t n = fill(borrower);
    assert_int_equal(n + fixalloc_mapped(&borrower->spans) / NH_PAGE, 200);
    assert_in_range(n, 200 - 200 / DESCRIPTORS - 1, 199);
    /* What became descriptors stays lent. */
    starve(lender);
    while (page_heap_pick_borrowed(borrower, &loan))
        page_heap_take_back(lender, &loan);
    assert_int_equal(lender->lent_pages, 200 - n);
    assert_int_equal(borrower->borrowed_pages, 200 - n);
    is_whole(lender);

    /* A single page is wholly spent, and then there are some. */
    borrower = heap_new();
    assert_true(page_heap_lend(lender, 1, 1, false, &loan));
    page_heap_borrow(borrower, &loan);
    assert_int_equal(borrower->borrowed.pages, 0);
    assert_null(take(borrower, 1));
    assert_true(page_heap_lend(lender, 1, 1, false, &loan));
    page_heap_borrow(borrower, &loan);
    assert_non_null(take(borrower, 1));
}

/* ---- Growth ---- */

/* ThreadSanitizer's memory is where heaps would be: theirs are beside foreign mappings. */
static void only_at_addresses_of_their_own(void)
{
#ifdef __SANITIZE_THREAD__
    skip();
#endif
}

/* By the mapping that ends at the top, which no other heap and no foreign mapping is above. */
static void without_new_mappings_heaps_grow_upwards(void **state)
{
    (void)state;
    only_at_addresses_of_their_own();
    struct page_heap *heap = starved(NH_HUGE_PAGES, false);
    uintptr_t top = heap->top, low = heap->grown_at;
    assert_int_equal(top, low + NH_HUGE);
    assert_null(take(heap, NH_HUGE_PAGES + 1));
    refusing = NO_MAPPINGS;
    struct span *first = take(heap, 2 * NH_HUGE_PAGES + 1);
    assert_non_null(first);
    assert_true(first->base >= top);
    assert_int_equal(heap->top, top + 3 * NH_HUGE);
    assert_int_equal(heap->grown_at, low);
    struct span *second = take(heap, 4 * NH_HUGE_PAGES);
    assert_non_null(second);
    drop(heap, first);
    drop(heap, second);
    is_whole(heap);
}

static void what_is_unmapped_at_the_top_is_had_again(void **state)
{
    (void)state;
    only_at_addresses_of_their_own();
    refusing = GRANTED;
    struct page_heap *heap = heap_new();
    struct span *below = take(heap, NH_HUGE_PAGES);
    uintptr_t top = heap->top;
    refusing = NO_MAPPINGS;
    struct span *above = take(heap, NH_HUGE_PAGES);
    assert_true(below != NULL && above != NULL);
    assert_int_equal(above->base, top);
    drop(heap, above);
    assert_int_equal(page_heap_release(heap, 0), NH_HUGE_PAGES);
    assert_true(page_heap_unmap(heap, NH_HUGE_PAGES));
    assert_int_equal(heap->top, top);
    above = take(heap, NH_HUGE_PAGES);
    assert_non_null(above);
    assert_int_equal(above->base, top);

    /* All is gone, and nobody knows what lies there now. */
    drop(heap, above);
    drop(heap, below);
    assert_int_equal(page_heap_release(heap, 0), 2 * NH_HUGE_PAGES);
    assert_true(page_heap_unmap(heap, 2 * NH_HUGE_PAGES));
    assert_int_equal(heap->top, 0);
    assert_null(take(heap, 1));
    refusing = GRANTED;
    assert_non_null(take(heap, 1));
    assert_int_equal(heap->top, heap->grown_at + NH_HUGE);
}

/* Nobody may be above the top, and it may not be unmapped when it is asked for. */
static void a_refused_unmapping_leaves_the_top(void **state)
{
    (void)state;
    only_at_addresses_of_their_own();
    refusing = GRANTED;
    struct page_heap *heap = heap_new();
    drop(heap, take(heap, 1));
    assert_int_equal(page_heap_release(heap, 0), 1);
    uintptr_t top = heap->top;
    refusing = NOTHING;
    assert_false(page_heap_unmap(heap, NH_HUGE_PAGES));
    assert_int_equal(heap->top, top);
    void *other = mmap((void *)top, NH_PAGE, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    assert_int_equal(other, top);
    refusing = NO_MAPPINGS;
    assert_null(take(heap, NH_HUGE_PAGES + 1));
    assert_int_equal(munmap(other, NH_PAGE), 0);
    assert_non_null(take(heap, NH_HUGE_PAGES + 1));
}

/* The first of a new 4 GiB: its leaf is taken off what was mapped there. */
static void growth_brings_its_leaf(void **state)
{
    (void)state;
    only_at_addresses_of_their_own();
    const size_t leaf = sizeof(struct table_leaf) / NH_PAGE;
    refusing = GRANTED;
    struct page_heap *heap = heap_new();
    uintptr_t border = heap->grown_at >> TABLE_LEAF_SHIFT << TABLE_LEAF_SHIFT;
    heap->grown_at = border + NH_HUGE;
    struct span *first = take(heap, NH_HUGE_PAGES);
    assert_non_null(first);
    assert_int_equal(first->base, border);
    refusing = NO_LEAVES;
    struct span *second = take(heap, NH_HUGE_PAGES); /* is shorter than a leaf */
    assert_non_null(second);
    assert_int_equal(heap->grown_at, border - 4 * NH_HUGE);
    assert_int_equal(heap->mapped_pages, 2 * NH_HUGE_PAGES);
    assert_false(found(heap->grown_at) || found(border - NH_HUGE - 1));
    assert_true(found(border - NH_HUGE));
    struct span *span = take(heap, leaf + 1);
    assert_non_null(span);
    assert_true(span_end(span) <= border - 4 * NH_HUGE);
    drop(heap, span);
    drop(heap, first);
    drop(heap, second);
    is_whole(heap);
}

/* ---- Hardened processes ---- */

static void hardened_ones_lie_between_guards(void **state)
{
    (void)state;
    only_at_addresses_of_their_own();
    atomic_store(&harden_active, true);
    struct page_heap *heap = starved(4 * NH_HUGE_PAGES, false);
    uintptr_t end = heap->top;
    uintptr_t begin = end - (4 * NH_HUGE_PAGES / DESCRIPTORS + 1) * NH_PAGE;
    size_t had = fixalloc_mapped(&heap->spans);
    assert_non_null(take(heap, 1));
    assert_int_equal(fixalloc_mapped(&heap->spans) - had, end - begin - 2 * os_page());
    assert_true(readable((const void *)(begin - 1)));
    assert_false(readable((const void *)begin) || readable((const void *)(begin + os_page() - 1)));
    assert_true(readable((const void *)(begin + os_page())) &&
                readable((const void *)(end - os_page() - 1)));
    assert_false(readable((const void *)(end - os_page())) || readable((const void *)(end - 1)));
    /* What follows the last one is for anybody to touch. */
    refusing = NO_MAPPINGS;
    struct span *span = take(heap, 4 * NH_HUGE_PAGES);
    assert_non_null(span);
    assert_int_equal(span->base, end);
    drop(heap, span);
    is_whole_but(heap, 1);
    atomic_store(&harden_active, false);
}

/* ---- Threads take, lend, use and return at random among three starved heaps ---- */

#define HEAPS 3
#define HELD  40
#define STEPS 20000

static struct page_heap *shared[HEAPS];

static void *trade(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    struct span *held[HELD] = {NULL};
    struct page_heap *of[HELD] = {NULL};
    size_t taken = 0;
    for (int step = 0; step < STEPS; step++) {
        size_t i = random_below(&random, HELD);
        if (held[i] != NULL) {
            drop(of[i], held[i]);
            loans_repay(of[i], shared, HEAPS);
        }
        of[i] = shared[random_below(&random, HEAPS)];
        size_t pages = 1 + random_below(&random, 30);
        held[i] = take(of[i], pages);
        struct page_heap *lender = shared[random_below(&random, HEAPS)];
        struct loan loan;
        if (lender != of[i] && page_heap_lend(lender, pages, 2 * pages, false, &loan)) {
            page_heap_borrow(of[i], &loan);
            if (held[i] == NULL)
                held[i] = take(of[i], pages);
            loans_repay(of[i], shared, HEAPS);
        }
        void *given = step % (STEPS / 4) == 0 ? page_heap_give(of[i], 1) : NULL;
        if (given != NULL)
            memset(given, 0xdd, NH_PAGE);
        taken += held[i] != NULL;
    }
    for (size_t i = 0; i < HELD; i++)
        if (held[i] != NULL)
            drop(of[i], held[i]);
    return (void *)taken;
}

static void trade_of_threads(void **state)
{
    (void)state;
    pthread_t thread[HEAPS];
    for (unsigned i = 0; i < HEAPS; i++)
        shared[i] = starved(4 * NH_HUGE_PAGES, false);
    for (uintptr_t i = 0; i < HEAPS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, trade, (void *)(i + 1)), 0);
    for (unsigned i = 0; i < HEAPS; i++) {
        void *taken;
        assert_int_equal(pthread_join(thread[i], &taken), 0);
        assert_in_range(taken, STEPS / 2, STEPS);
    }
    for (unsigned i = 0; i < HEAPS; i++)
        loans_repay(shared[i], shared, HEAPS);
    for (unsigned i = 0; i < HEAPS; i++) {
        assert_int_equal(shared[i]->borrowed.pages, 0);
        is_whole(shared[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(growth_brings_its_leaf), /* before any leaf is left over */
        cmocka_unit_test(all_pages_are_had_but_those_of_descriptors),
        cmocka_unit_test(a_piece_from_the_midst),
        cmocka_unit_test(spans_grow_and_shrink_in_place),
        cmocka_unit_test(what_is_given_is_zero_and_nobodys),
        cmocka_unit_test(a_loan_brings_descriptors),
        cmocka_unit_test(without_new_mappings_heaps_grow_upwards),
        cmocka_unit_test(what_is_unmapped_at_the_top_is_had_again),
        cmocka_unit_test(a_refused_unmapping_leaves_the_top),
        cmocka_unit_test(hardened_ones_lie_between_guards),
        cmocka_unit_test(trade_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
