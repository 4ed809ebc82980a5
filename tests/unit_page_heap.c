/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A page heap against a model: no overlap, coalescing, both kinds of free
 * spans, growth in place, and the truth of needzero, on real memory.
 */
#include "unit.h"

#include "page_heap.h"
#include "span_table.h"

#define HELD 200

static struct page_heap heap;

static int begin(void **state)
{
    (void)state;
    /* A heap lives for ever; each test's is another one. */
    static unsigned slot;
    memset(&heap, 0, sizeof(heap));
    page_heap_init(&heap, ++slot);
    return 0;
}

static struct span *get(size_t pages, size_t align_pages, bool may_grow)
{
    return page_heap_alloc(&heap, &(struct span_request){.pages = pages,
                                                         .align_pages = align_pages,
                                                         .state = SPAN_MANUAL,
                                                         .may_grow = may_grow});
}

static size_t check_set(const struct free_set *set, bool needzero)
{
    size_t pages = 0;
    for (size_t n = 0; n < NH_LISTED_PAGES; n++) {
        assert_int_equal(set->nonempty[n / 64] >> n % 64 & 1, set->list[n].first != NULL);
        for (const struct span *s = set->list[n].first; s != NULL; s = s->next) {
            assert_int_equal(s->pages, n);
            assert_int_equal(s->needzero, needzero);
            pages += n;
        }
    }
    for (const struct span *s = treap_first(&set->longer); s != NULL;
         s = treap_next(&set->longer, s)) {
        assert_true(s->pages >= NH_LISTED_PAGES);
        assert_int_equal(s->needzero, needzero);
        pages += s->pages;
    }
    assert_int_equal(pages, set->pages);
    return pages;
}

/* Ends in the table; no free neighbour of the same kind. */
static void check_free_span(const struct span *span)
{
    assert_int_equal(span_state(span), SPAN_FREE);
    assert_ptr_equal(span_table_find(span->base), span);
    assert_ptr_equal(span_table_find(span_end(span) - 1), span);
    const struct span *after = span_table_hint(span_end(span));
    if (after != NULL && span_state(after) == SPAN_FREE && after->base == span_end(span))
        assert_true(after->needzero != span->needzero);
}

static void check_heap(size_t held_pages)
{
    size_t clean = check_set(&heap.clean, false);
    size_t resident = check_set(&heap.resident, true);
    assert_int_equal(clean + resident + held_pages, heap.mapped_pages);
    size_t aged = 0;
    for (const struct span *s = heap.oldest; s != NULL; s = s->idle.younger) {
        check_free_span(s);
        assert_ptr_equal(s->idle.younger != NULL ? s->idle.younger->idle.older : heap.youngest, s);
        aged += s->pages;
    }
    assert_int_equal(aged, resident);
    for (size_t n = 0; n < NH_LISTED_PAGES; n++)
        for (const struct span *s = heap.clean.list[n].first; s != NULL; s = s->next)
            check_free_span(s);
}

static void check_zero(const struct span *span)
{
    const uint64_t *words = (const uint64_t *)span->base;
    for (size_t i = 0; i < span->pages * NH_PAGE / 8; i += 64)
        assert_true(words[i] == 0 && words[i + 63] == 0);
}

static void soil(const struct span *span)
{
    for (size_t i = 0; i < span->pages; i++) {
        memset((void *)(span->base + i * NH_PAGE), 0xdd, 64);
        memset((void *)(span->base + (i + 1) * NH_PAGE - 64), 0xdd, 64);
    }
}

static void against_a_model(void **state)
{
    (void)state;
    uint64_t random = 12345;
    struct span *held[HELD] = {NULL};
    size_t held_pages = 0;
    for (int step = 0; step < 30000; step++) {
        size_t i = random_below(&random, HELD);
        switch (random_below(&random, 8)) {
        case 0:
            if (held[i] != NULL) {
                size_t more = 1 + random_below(&random, 20);
                size_t had = held[i]->pages;
                if (page_heap_extend(&heap, held[i], more)) {
                    assert_int_equal(held[i]->pages, had + more);
                    held_pages += more;
                    soil(held[i]);
                }
            }
            break;
        case 1:
            if (held[i] != NULL && held[i]->pages > 1) {
                size_t keep = 1 + random_below(&random, held[i]->pages - 1);
                held_pages -= held[i]->pages - keep;
                page_heap_shrink(&heap, held[i], keep);
                assert_int_equal(held[i]->pages, keep);
            }
            break;
        case 2:
            if (step % 50 == 0) {
                size_t keep = random_below(&random, 2) * 100;
                page_heap_release(&heap, keep);
                assert_true(heap.resident.pages <= keep);
            }
            break;
        default:
            if (held[i] != NULL) {
                held_pages -= held[i]->pages;
                page_heap_free(&heap, held[i], false);
                held[i] = NULL;
            } else {
                size_t pages = 1 + random_below(&random, random_below(&random, 10) ? 20 : 400);
                size_t align = (size_t)1 << random_below(&random, 5);
                struct span *s = get(pages, align, true);
                assert_non_null(s);
                assert_int_equal(s->pages, pages);
                assert_int_equal(s->base % (align << NH_PAGE_SHIFT), 0);
                assert_int_equal(s->slot, heap.slot);
                for (size_t k = 0; k < HELD; k++)
                    assert_true(held[k] == NULL || held[k]->base >= span_end(s) ||
                                span_end(held[k]) <= s->base);
                if (!s->needzero)
                    check_zero(s);
                soil(s);
                held[i] = s;
                held_pages += pages;
            }
        }
        if (held[i] != NULL) {
            assert_ptr_equal(span_table_find(held[i]->base), held[i]);
            assert_ptr_equal(span_table_find(span_end(held[i]) - 1), held[i]);
            assert_ptr_equal(span_table_find(held[i]->base + held[i]->pages / 2 * NH_PAGE),
                             held[i]);
        }
        if (step % 16 == 0)
            check_heap(held_pages);
    }
    for (size_t i = 0; i < HELD; i++)
        if (held[i] != NULL)
            page_heap_free(&heap, held[i], false);
    check_heap(0);
}

static void both_neighbours_join(void **state)
{
    (void)state;
    struct span *a = get(10, 1, true), *b = get(20, 1, true), *c = get(30, 1, true);
    struct span *wall = get(1, 1, true);
    assert_int_equal(span_end(a), b->base);
    assert_int_equal(span_end(b), c->base);
    uintptr_t base = a->base;
    page_heap_free(&heap, a, false);
    page_heap_free(&heap, c, false);
    page_heap_free(&heap, b, false);
    const struct span *joined = span_table_find(base);
    assert_int_equal(joined->base, base);
    assert_int_equal(joined->pages, 60);
    struct span *all = get(60, 1, false);
    assert_int_equal(all->base, base);
    page_heap_free(&heap, all, false);
    page_heap_free(&heap, wall, false);
}

static void kinds_join_when_nothing_else_fits(void **state)
{
    (void)state;
    size_t mapped = NH_HUGE_PAGES;
    struct span *half = get(mapped / 2, 1, true);
    assert_int_equal(heap.mapped_pages, mapped);
    soil(half);
    page_heap_free(&heap, half, false);
    assert_int_equal(heap.resident.pages, mapped / 2);
    assert_int_equal(heap.clean.pages, mapped / 2); /* kept apart */
    struct span *whole = get(mapped, 1, false);
    assert_non_null(whole);
    assert_true(whole->needzero);
    assert_null(get(1, 1, false));
    page_heap_free(&heap, whole, true); /* not true, but who looks */
    assert_int_equal(heap.clean.pages, mapped);
}

static void absurd_lengths_are_refused(void **state)
{
    (void)state;
    assert_null(get(SIZE_MAX, 1, true));
    assert_null(get(SIZE_MAX, 4, true));
    assert_null(get(SIZE_MAX >> NH_PAGE_SHIFT, 1, true));
    assert_null(get((size_t)1 << 50, 1, true));
    assert_int_equal(heap.mapped_pages, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(against_a_model, begin),
        cmocka_unit_test_setup(both_neighbours_join, begin),
        cmocka_unit_test_setup(kinds_join_when_nothing_else_fits, begin),
        cmocka_unit_test_setup(absurd_lengths_are_refused, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
