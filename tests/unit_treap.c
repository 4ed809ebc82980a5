/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The treap and the free set against a sorted model, at made-up addresses that
 * are never touched.
 */
#include "unit.h"

#include "free_set.h"

#define SPANS 600

static bool before(const struct span *a, const struct span *b)
{
    return a->pages != b->pages ? a->pages < b->pages : a->base < b->base;
}

/* Order by key, heap by priority; returns the depth. */
static unsigned check(const struct span *at, const struct span *low, const struct span *high,
                      size_t *count)
{
    if (at == NULL)
        return 0;
    ++*count;
    assert_true(low == NULL || before(low, at));
    assert_true(high == NULL || before(at, high));
    const struct span *left = at->idle.left, *right = at->idle.right;
    assert_true(left == NULL || left->idle.priority <= at->idle.priority);
    assert_true(right == NULL || right->idle.priority <= at->idle.priority);
    unsigned l = check(left, low, at, count), r = check(right, at, high, count);
    return 1 + (l > r ? l : r);
}

static void against_a_model(void **state)
{
    (void)state;
    static struct span spans[SPANS];
    for (uint64_t seed = 1; seed <= 10; seed++) {
        uint64_t random = seed * 104729;
        bool in[SPANS] = {false};
        struct treap treap = {.random = seed};
        for (size_t i = 0; i < SPANS; i++) {
            memset(&spans[i], 0, sizeof(spans[i]));
            spans[i].base = 0x10000000 + random_below(&random, SPANS) * 0x100000 + i * NH_PAGE;
            spans[i].pages = 1 + random_below(&random, 40); /* many equals */
        }
        for (int step = 0; step < 3000; step++) {
            size_t i = random_below(&random, SPANS);
            if (in[i])
                treap_remove(&treap, &spans[i]);
            else
                treap_insert(&treap, &spans[i]);
            in[i] = !in[i];

            size_t pages = random_below(&random, 45);
            const struct span *best = NULL, *last = NULL, *longest = NULL;
            size_t count = 0;
            for (size_t k = 0; k < SPANS; k++) {
                if (!in[k])
                    continue;
                count++;
                if (spans[k].pages >= pages && (best == NULL || before(&spans[k], best)))
                    best = &spans[k];
                if (before(&spans[k], &spans[i]) && (last == NULL || before(last, &spans[k])))
                    last = &spans[k];
                if (longest == NULL || before(longest, &spans[k]))
                    longest = &spans[k];
            }
            assert_ptr_equal(treap_best_fit(&treap, pages), best);
            assert_ptr_equal(treap_before(&treap, spans[i].pages, spans[i].base), last);
            assert_ptr_equal(treap_before(&treap, SIZE_MAX, 0), longest);
            if (step % 100 == 0) {
                size_t seen = 0;
                check(treap.root, NULL, NULL, &seen);
                assert_int_equal(seen, count);
            }
        }
    }
}

static void stays_shallow(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    struct span *spans = aligned_alloc(NH_CACHE_LINE, MANY * sizeof(*spans));
    assert_non_null(spans);
    memset(spans, 0, MANY * sizeof(*spans));
    struct treap treap = {.random = 42};
    for (size_t i = 0; i < MANY; i++) { /* in order: a plain tree would be a list */
        spans[i].pages = NH_LISTED_PAGES + i;
        spans[i].base = i << NH_PAGE_SHIFT;
        treap_insert(&treap, &spans[i]);
    }
    size_t seen = 0;
    unsigned depth = check(treap.root, NULL, NULL, &seen);
    assert_int_equal(seen, MANY);
    assert_in_range(depth, 17, 60);
    for (size_t i = 0; i < MANY; i++)
        treap_remove(&treap, &spans[i]);
    assert_null(treap.root);
    free(spans);
}

static void free_set_finds_the_shortest(void **state)
{
    (void)state;
    static struct span spans[SPANS];
    static struct free_set set;
    uint64_t random = 99;
    bool in[SPANS] = {false};
    for (size_t i = 0; i < SPANS; i++) {
        memset(&spans[i], 0, sizeof(spans[i]));
        spans[i].base = 0x10000000 + i * 0x1000000;
        spans[i].pages = 1 + random_below(&random, 2 * NH_LISTED_PAGES);
    }
    for (int step = 0; step < 20000; step++) {
        size_t i = random_below(&random, SPANS);
        if (in[i])
            free_set_remove(&set, &spans[i]);
        else
            free_set_insert(&set, &spans[i]);
        in[i] = !in[i];
        size_t want = 1 + random_below(&random, 2 * NH_LISTED_PAGES + 10);
        size_t shortest = SIZE_MAX, pages = 0;
        for (size_t k = 0; k < SPANS; k++) {
            if (!in[k])
                continue;
            pages += spans[k].pages;
            if (spans[k].pages >= want && spans[k].pages < shortest)
                shortest = spans[k].pages;
        }
        const struct span *fit = free_set_fit(&set, want);
        if (shortest == SIZE_MAX) {
            assert_null(fit);
        } else {
            assert_non_null(fit);
            assert_int_equal(fit->pages, shortest);
            assert_true(in[fit - spans]);
        }
        assert_int_equal(set.pages, pages);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_a_model),
        cmocka_unit_test(stays_shallow),
        cmocka_unit_test(free_set_finds_the_shortest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
