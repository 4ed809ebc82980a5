/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit_free_set.c - free spans by length: the exact lists, the treap above
 * them and the border between, at made-up addresses.
 */
#include "free_set.h"
#include "limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define BASE  ((uintptr_t)0x500000000000) /* never touched */
#define SPANS 400
#define STEPS 10000

static struct span spans[SPANS];
static unsigned short seed[3];

static size_t below(size_t n)
{
    return (size_t)nrand48(seed) % n;
}

static struct span *made_up(size_t i, size_t pages)
{
    spans[i] = (struct span){.base = BASE + ((uintptr_t)i << 30), .pages = pages};
    return &spans[i];
}

/* The set is what its own lists, bits and treap say it is. */
static void check(const struct free_set *set, size_t pages, size_t count)
{
    size_t found_pages = 0, found = 0;
    for (size_t n = 0; n < NH_LISTED_PAGES; n++) {
        const struct span *before = NULL;
        for (const struct span *span = set->list[n].first; span != NULL; span = span->next) {
            assert_int_equal(span->pages, n);
            assert_ptr_equal(span->prev, before);
            before = span;
            found_pages += n;
            found++;
        }
        assert_int_equal(set->nonempty[n / 64] >> n % 64 & 1, before != NULL);
    }
    for (const struct span *span = treap_before(&set->longer, SIZE_MAX, 0); span != NULL;
         span = treap_before(&set->longer, span->pages, span->base)) {
        assert_true(span->pages >= NH_LISTED_PAGES);
        found_pages += span->pages;
        found++;
    }
    assert_int_equal(found_pages, pages);
    assert_int_equal(set->pages, pages);
    assert_int_equal(found, count);
}

static void lists_below_the_border_treap_above(void **state)
{
    (void)state;
    for (size_t pages = 1; pages < 2 * NH_LISTED_PAGES; pages++) {
        struct free_set set = {0};
        struct span *span = made_up(0, pages);
        free_set_insert(&set, span);
        assert_int_equal(set.longer.root != NULL, pages >= NH_LISTED_PAGES);
        if (pages < NH_LISTED_PAGES)
            assert_ptr_equal(set.list[pages].first, span);
        check(&set, pages, 1);
        for (size_t want = 1; want < 3 * NH_LISTED_PAGES; want++)
            assert_ptr_equal(free_set_fit(&set, want), want <= pages ? span : NULL);
        check(&set, pages, 1); /* the span stayed in */
        free_set_remove(&set, span);
        check(&set, 0, 0);
        assert_null(free_set_fit(&set, 1));
    }
}

/* Every pair of lengths: of those that fit, the shorter one. */
static void shortest_of_two(void **state)
{
    (void)state;
    for (size_t a = 1; a < NH_LISTED_PAGES + 10; a++)
        for (size_t b = a + 1; b < NH_LISTED_PAGES + 10; b++) {
            struct free_set set = {0};
            free_set_insert(&set, made_up(0, b));
            free_set_insert(&set, made_up(1, a));
            assert_ptr_equal(free_set_fit(&set, 1), &spans[1]);
            assert_ptr_equal(free_set_fit(&set, a), &spans[1]);
            assert_ptr_equal(free_set_fit(&set, a + 1), &spans[0]);
            assert_ptr_equal(free_set_fit(&set, b), &spans[0]);
            assert_null(free_set_fit(&set, b + 1));
        }
}

static void checked_fit(const struct free_set *set, const bool *in_set, size_t want)
{
    const struct span *best = NULL;
    for (size_t i = 0; i < SPANS; i++)
        if (in_set[i] && spans[i].pages >= want && (best == NULL || spans[i].pages < best->pages))
            best = &spans[i];
    const struct span *got = free_set_fit(set, want);
    if (best == NULL) {
        assert_null(got);
        return;
    }
    assert_non_null(got);
    assert_true(in_set[got - spans]);
    assert_int_equal(got->pages, best->pages);
    /* The first found above is the lowest. */
    if (best->pages >= NH_LISTED_PAGES)
        assert_ptr_equal(got, best);
}

static void random_against_model(void **state)
{
    (void)state;
    static struct free_set set;
    static bool in_set[SPANS];
    for (unsigned short s = 1; s <= 4; s++) {
        seed[0] = s;
        set = (struct free_set){0};
        for (size_t i = 0; i < SPANS; i++)
            in_set[i] = false;
        size_t pages = 0, count = 0;
        /* Sparse lengths leave gaps; dense ones many spans of a length. */
        size_t step_of_lengths = s % 2 == 0 ? 1 : 17;
        for (unsigned step = 0; step < STEPS; step++) {
            size_t i = below(SPANS);
            bool fills = step / 1000 % 2 == 0;
            if (in_set[i] && (!fills || below(4) == 0)) {
                free_set_remove(&set, &spans[i]);
                in_set[i] = false;
                pages -= spans[i].pages;
                count--;
            } else if (!in_set[i] && (fills || below(4) == 0)) {
                made_up(i, 1 + below(20) * step_of_lengths);
                free_set_insert(&set, &spans[i]);
                in_set[i] = true;
                pages += spans[i].pages;
                count++;
            }
            checked_fit(&set, in_set, 1 + below(25 * step_of_lengths));
            if (step % 20 == 0)
                check(&set, pages, count);
        }
        for (size_t i = 0; i < SPANS; i++)
            if (in_set[i])
                free_set_remove(&set, &spans[i]);
        check(&set, 0, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_below_the_border_treap_above),
        cmocka_unit_test(shortest_of_two),
        cmocka_unit_test(random_against_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
