/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Page heaps on a system whose page holds several of theirs, which is pretended: the
 * linker puts functions of this file before three of os.h, and these see that the
 * system is never asked for a part of such a page.
 */
#include "unit.h"

#include "os.h"
#include "page_heap.h"

#define SYSTEM_PAGE ((size_t)65536)
#define LIVE        200
#define STEPS       20000
#define PAGES_MOST  40

size_t __wrap_os_page(void);
bool __wrap_os_release(void *at, size_t bytes);
bool __wrap_os_unmap(void *at, size_t bytes);
bool __real_os_release(void *at, size_t bytes);
bool __real_os_unmap(void *at, size_t bytes);

size_t __wrap_os_page(void)
{
    return SYSTEM_PAGE;
}

bool __wrap_os_release(void *at, size_t bytes)
{
    assert_int_equal((uintptr_t)at % SYSTEM_PAGE, 0);
    assert_int_equal(bytes % SYSTEM_PAGE, 0);
    return __real_os_release(at, bytes);
}

bool __wrap_os_unmap(void *at, size_t bytes)
{
    assert_int_equal((uintptr_t)at % SYSTEM_PAGE, 0);
    assert_int_equal(bytes % SYSTEM_PAGE, 0);
    return __real_os_unmap(at, bytes);
}

/* Heaps of slots of their own: the span table outlives each test. */
static struct page_heap *heap_new(void)
{
    static unsigned slot;
    struct page_heap *heap = os_map(SYSTEM_PAGE, SYSTEM_PAGE, 0);
    assert_non_null(heap);
    page_heap_init(heap, slot++);
    return heap;
}
NH_STATIC(sizeof(struct page_heap) <= SYSTEM_PAGE, "a heap fits where it is put");

/* An allocated span whose every page begins with the page's address. */
static struct span *take(struct page_heap *heap, size_t pages)
{
    struct span_request want = {
        .pages = pages, .align_pages = 1, .state = SPAN_IN_USE, .cls = 1, .may_grow = true};
    struct span *span = page_heap_alloc(heap, &want);
    assert_non_null(span);
    for (uintptr_t at = span->base; at < span_end(span); at += NH_PAGE) {
        if (!span->needzero)
            assert_int_equal(*(uintptr_t *)at, 0);
        *(uintptr_t *)at = at;
    }
    return span;
}

static void drop(struct page_heap *heap, struct span *span)
{
    for (uintptr_t at = span->base; at < span_end(span); at += NH_PAGE)
        assert_int_equal(*(uintptr_t *)at, at);
    page_heap_free(heap, span, false);
}

/* Gives back all that can be, and looks whether that is all. */
static void release(struct page_heap *heap, size_t keep)
{
    size_t resident = heap->resident.pages;
    size_t released = page_heap_release(heap, keep);
    assert_int_equal(heap->resident.pages, resident - released);
    if (heap->resident.pages > keep)
        for (const struct span *span = heap->oldest; span != NULL; span = span->idle.younger)
            assert_true(round_up(span->base, SYSTEM_PAGE) >=
                        round_down(span_end(span), SYSTEM_PAGE));
}

static void rests_wait_for_their_neighbours(void **state)
{
    (void)state;
    struct page_heap *heap = heap_new();
    struct span *span[LIVE];
    for (size_t i = 0; i < LIVE; i++)
        span[i] = take(heap, 1 + i % PAGES_MOST);
    for (size_t i = 0; i < LIVE; i += 2)
        drop(heap, span[i]);
    release(heap, 0);
    size_t rests = heap->resident.pages;
    assert_true(rests > 0);
    for (size_t i = 1; i < LIVE; i += 2)
        drop(heap, span[i]);
    release(heap, 0);
    /* Of each growth at most the end that was never used is left beside some. */
    assert_true(heap->resident.pages < rests);
    assert_true(heap->resident.pages <= heap->grows * (SYSTEM_PAGE / NH_PAGE - 1));
}

static void nothing_of_others_is_lost(void **state)
{
    (void)state;
    struct page_heap *heap = heap_new();
    struct span *span[LIVE] = {NULL};
    uint64_t random = 1;
    for (size_t step = 0; step < STEPS; step++) {
        size_t i = random_below(&random, LIVE);
        if (span[i] != NULL) {
            drop(heap, span[i]);
            span[i] = NULL;
        } else {
            span[i] = take(heap, 1 + random_below(&random, PAGES_MOST));
        }
        if (random_below(&random, 50) == 0)
            release(heap, random_below(&random, 500));
    }
    for (size_t i = 0; i < LIVE; i++)
        if (span[i] != NULL)
            drop(heap, span[i]);
    release(heap, 0);
}

static void address_space_goes_in_whole_pages(void **state)
{
    (void)state;
    struct page_heap *heap = heap_new();
    struct span *first = take(heap, 4 * NH_HUGE_PAGES), *odd = take(heap, 3);
    drop(heap, first);
    release(heap, 0);
    size_t mapped = heap->mapped_pages;
    assert_true(page_heap_unmap(heap, 2 * NH_HUGE_PAGES));
    assert_int_equal(heap->mapped_pages, mapped - 2 * NH_HUGE_PAGES);
    mapped = heap->mapped_pages;
    assert_true(page_heap_unmap(heap, SYSTEM_PAGE / NH_PAGE + 2));
    assert_int_equal(heap->mapped_pages, mapped - 2 * SYSTEM_PAGE / NH_PAGE);
    drop(heap, odd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rests_wait_for_their_neighbours),
        cmocka_unit_test(nothing_of_others_is_lost),
        cmocka_unit_test(address_space_goes_in_whole_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
