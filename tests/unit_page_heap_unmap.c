/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Address space that goes back to the system: how much, when, what stays; and the leaves
 * of the span table that go with it.
 *
 * Each test has a heap of its own in addresses of its own (a slot has a terabyte).
 */
#include "unit.h"

#include "options.h"
#include "os.h"
#include "page_heap.h"
#include "span_table.h"

#include <errno.h>
#include <sys/mman.h>

#define CLASS 1
#define LARGE (32 * NH_HUGE_PAGES)

static struct page_heap *heap_new(void)
{
    static unsigned slot;
    struct page_heap *heap =
        os_map(round_up(sizeof(struct page_heap), NH_SYSTEM_PAGE), NH_SYSTEM_PAGE, 0);
    assert_non_null(heap);
    page_heap_init(heap, slot++);
    return heap;
}

static struct span *take(struct page_heap *heap, size_t pages)
{
    struct span_request want = {pages, 1, SPAN_IN_USE, CLASS, .may_grow = true};
    struct span *span = page_heap_alloc(heap, &want);
    assert_non_null(span);
    memset((void *)span->base, 1, pages * NH_PAGE);
    return span;
}

/* A heap with so many clean pages in one span, below a few that are in use. */
static struct page_heap *clean_heap(size_t pages, struct span **end)
{
    struct page_heap *heap = heap_new();
    *end = take(heap, 3);
    struct span *span = take(heap, pages);
    page_heap_free(heap, span, false);
    assert_int_equal(page_heap_release(heap, 0), pages);
    assert_true(heap->clean.pages >= pages);
    return heap;
}

static bool mapped(uintptr_t at)
{
    if (msync((void *)at, NH_PAGE, MS_ASYNC) == 0)
        return true;
    assert_int_equal(errno, ENOMEM);
    return false;
}

/* Whether each page is mapped if and only if a span of the heap's is there. */
static size_t count_mapped(uintptr_t base, size_t pages)
{
    size_t n = 0;
    for (uintptr_t at = base; at < base + pages * NH_PAGE; at += NH_PAGE) {
        struct span_view view;
        bool found = span_table_find(at + 1, &view) == SPAN_FOUND;
        assert_int_equal(found, mapped(at));
        n += found;
    }
    return n;
}

static void in_whole_huge_pages(void **state)
{
    (void)state;
    struct span *end;
    struct page_heap *heap = clean_heap(LARGE, &end);
    size_t had = heap->mapped_pages, quota = heap->quota;
    uintptr_t base = heap->grown_at;
    assert_int_equal(count_mapped(base, had), had);
    assert_int_equal(page_heap_trim(heap, NH_HUGE_PAGES - 1), 0);
    assert_int_equal(page_heap_trim(heap, 3 * NH_HUGE_PAGES + 1), 3 * NH_HUGE_PAGES);
    assert_int_equal(heap->mapped_pages, had - 3 * NH_HUGE_PAGES);
    assert_int_equal(heap->unmaps, 1);
    assert_int_equal(heap->quota, quota); /* nothing was taken */
    assert_int_equal(count_mapped(base, had), heap->mapped_pages);

    /* Not what is used or resident. */
    struct span *resident = take(heap, NH_HUGE_PAGES);
    page_heap_free(heap, resident, false);
    page_heap_trim(heap, SIZE_MAX);
    assert_true(heap->mapped_pages >= NH_HUGE_PAGES + 3);
    assert_true(mapped(resident->base) && mapped(end->base));
    assert_int_equal(((unsigned char *)end->base)[3 * NH_PAGE - 1], 1);
    assert_int_equal(count_mapped(base, had), heap->mapped_pages);

    /* It grows again, and all is as it was. */
    struct span *again = take(heap, LARGE);
    for (size_t i = 0; i < LARGE; i++) {
        struct span_view view;
        assert_int_equal(span_table_find(again->base + i * NH_PAGE, &view), SPAN_FOUND);
        assert_ptr_equal(view.span, again);
    }
}

/* A clean span without a whole huge page in it does not keep shorter ones that have one. */
static void past_those_that_lie_askew(void **state)
{
    (void)state;
    struct span *end;
    struct page_heap *heap = clean_heap(LARGE, &end);
    /* One behind the other, and all longer than what was left beside `end`. */
    take(heap, NH_HUGE_PAGES + 44);
    struct span *askew = take(heap, NH_HUGE_PAGES + 144);
    take(heap, NH_HUGE_PAGES + 68);
    struct span *whole = take(heap, NH_HUGE_PAGES);
    take(heap, NH_HUGE_PAGES + 1);
    uintptr_t askew_base = askew->base, whole_base = whole->base;
    assert_int_equal(whole_base - askew_base, (2 * NH_HUGE_PAGES + 212) * NH_PAGE);
    assert_int_equal(whole_base % NH_HUGE, 0);
    page_heap_free(heap, askew, false);
    page_heap_free(heap, whole, false);
    page_heap_release(heap, 0);
    page_heap_trim(heap, SIZE_MAX);
    assert_false(mapped(whole_base));
    assert_true(mapped(askew_base));
    assert_int_equal(count_mapped(whole_base, NH_HUGE_PAGES), 0);
}

/* Where nothing more may be taken, giving addresses back earns nothing: the pages were not
 * the system's memory, and the next ones would be. */
static void no_quota_comes_of_it(void **state)
{
    (void)state;
    struct span *end;
    struct page_heap *heap = clean_heap(LARGE, &end);
    page_heap_cut_quota(heap, 5);
    assert_true(page_heap_unmap(heap, 64));
    assert_int_equal(page_heap_quota(heap), 5);
    assert_int_equal(page_heap_trim(heap, NH_HUGE_PAGES), NH_HUGE_PAGES);
    assert_int_equal(page_heap_quota(heap), 5);
    struct span_request want = {6, 1, SPAN_IN_USE, CLASS, .may_grow = true};
    assert_null(page_heap_alloc(heap, &want));
}

/* What goes at the lower end comes back there: addresses do not wander off. */
static void growth_begins_where_it_was(void **state)
{
    (void)state;
    struct span *end;
    struct page_heap *heap = clean_heap(LARGE, &end);
    uintptr_t lowest = heap->grown_at;
    for (unsigned i = 0; i < 5; i++) {
        assert_true(page_heap_trim(heap, LARGE) > 0);
        assert_true(heap->grown_at > lowest);
        struct span *span = take(heap, LARGE);
        page_heap_free(heap, span, false);
        page_heap_release(heap, 0);
        assert_true(heap->grown_at + LARGE * NH_PAGE >= lowest);
    }
}

static void a_reserve_stays(void **state)
{
    (void)state;
    struct span *end;
    struct page_heap *heap = clean_heap(LARGE, &end);
    size_t keep = heap->mapped_pages >> NH_GROW_SHIFT;
    page_heap_trim_all(heap);
    assert_in_range(heap->clean.pages, keep, keep + 2 * NH_HUGE_PAGES);
    /* However often. */
    for (unsigned i = 0; i < 100; i++)
        page_heap_trim_all(heap);
    assert_true(heap->clean.pages >= NH_HUGE_PAGES);
}

/* ---- What comes from it ---- */

#define ADVISED 8
static struct {
    uintptr_t at;
    size_t bytes;
    enum os_huge use;
} advised[ADVISED]; /* the last ones */
static unsigned advised_count;

void __wrap_os_advise_huge(void *at, size_t bytes, enum os_huge use);
void __wrap_os_advise_huge(void *at, size_t bytes, enum os_huge use)
{
    unsigned n = advised_count++ % ADVISED;
    advised[n].at = (uintptr_t)at;
    advised[n].bytes = bytes;
    advised[n].use = use;
}

static enum os_huge use_of(const struct span *span)
{
    for (unsigned n = 0; n < ADVISED; n++)
        if (span->base - advised[n].at < advised[n].bytes)
            return advised[n].use;
    fail();
    return OS_HUGE_DEFAULT;
}

/* That a heap's first mapping is to have none is for those that stay small. */
static void what_is_large_may_have_huge_pages(void **state)
{
    (void)state;
    assert_int_equal(use_of(take(heap_new(), 1)), OS_HUGE_NEVER);
    struct page_heap *heap = heap_new();
    assert_int_equal(use_of(take(heap, 2 * NH_HUGE_PAGES)), OS_HUGE_DEFAULT);
    assert_int_equal(page_heap_may_be_huge(heap), os_huge_by_default());
}

/* Only what lay clean through a whole time of decay. */
static void what_lies_idle_goes_in_time(void **state)
{
    (void)state;
    uint64_t decay = (uint64_t)options_get(OPT_DECAY);
    struct span *end;
    struct page_heap *heap = clean_heap(LARGE, &end);
    size_t had = heap->mapped_pages;
    heap->trimmed_ms = os_now_ms() - decay;
    page_heap_trim_idle(heap); /* of the time before nothing is known */
    assert_int_equal(heap->mapped_pages, had);
    assert_int_equal(heap->clean_least, heap->clean.pages);
    page_heap_trim_idle(heap); /* not due */
    assert_int_equal(heap->mapped_pages, had);

    /* It was all needed once since. */
    struct span *span = take(heap, LARGE);
    page_heap_free(heap, span, false);
    page_heap_release(heap, 0);
    heap->trimmed_ms -= decay;
    page_heap_trim_idle(heap);
    assert_int_equal(heap->mapped_pages, had);

    heap->trimmed_ms -= decay;
    page_heap_trim_idle(heap);
    assert_true(heap->mapped_pages < had / 4);
    assert_true(heap->clean.pages >= had >> NH_GROW_SHIFT);
}

static void leaves_go_with_their_last_page(void **state)
{
    (void)state;
    struct page_heap *heap = heap_new();
    size_t leaves = span_table_leaves();
    uintptr_t at = 0;
    for (unsigned i = 0; i < 3; i++) {
        struct span *span = take(heap, 1);
        at = span->base;
        assert_true(span_table_leaves() > leaves);
        page_heap_free(heap, span, false);
        page_heap_release(heap, 0);
        while (heap->clean.pages != 0)
            assert_true(page_heap_unmap(heap, heap->clean.pages));
        assert_int_equal(heap->mapped_pages, 0);
        assert_int_equal(span_table_leaves(), leaves);
        struct span_view view;
        assert_int_equal(span_table_find(at, &view), SPAN_NONE);
        assert_int_equal(span_table_home(at), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_go_with_their_last_page),
        cmocka_unit_test(in_whole_huge_pages),
        cmocka_unit_test(past_those_that_lie_askew),
        cmocka_unit_test(no_quota_comes_of_it),
        cmocka_unit_test(growth_begins_where_it_was),
        cmocka_unit_test(a_reserve_stays),
        cmocka_unit_test(what_lies_idle_goes_in_time),
        cmocka_unit_test(what_is_large_may_have_huge_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
