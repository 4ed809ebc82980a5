/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How much of a class a cache holds, by what it asks for.
 */
#include "unit.h"

#include "cache_share.h"

#define MOST    61U
#define LIMIT   ((size_t)512 << 10)
#define GRANTED SHARE_GRANTED_LEAST

static _Atomic size_t granted_now = GRANTED;

/* Asks so often in a row; returns the last answer. */
static unsigned ask(struct cache_share *share, unsigned cls, unsigned times)
{
    unsigned rounds = 0;
    while (times-- > 0)
        rounds = cache_share_ask(share, cls, MOST, &granted_now);
    return rounds;
}

static void a_grant_is_a_part_of_the_heap(void **state)
{
    (void)state;
    assert_int_equal(cache_share_granted(0, 0), SHARE_GRANTED_LEAST);
    assert_int_equal(cache_share_granted((size_t)1 << 20, 2), SHARE_GRANTED_LEAST);
    assert_int_equal(cache_share_granted((size_t)1 << 40, 2), SHARE_GRANTED_MOST);
    /* A thousand caches have no more of the same heap than two, but for the least. */
    assert_true(cache_share_granted((size_t)8 << 20, 2) > cache_share_granted((size_t)8 << 20, 3));
    assert_int_equal(cache_share_granted((size_t)8 << 20, 1000), SHARE_GRANTED_LEAST);
}

/* What a large heap grants is had without being counted, and stays when it shrinks. */
static void a_larger_grant(void **state)
{
    (void)state;
    for (unsigned cls = 1; cls < NH_CLASSES; cls++) {
        struct cache_share share = {.limit = 0};
        size_t bytes = size_class_bytes(cls);
        size_t most = bytes <= SHARE_GRANTED_LEAST ? SHARE_GRANTED_MOST / bytes : 0;
        granted_now = SHARE_GRANTED_MOST;
        unsigned rounds = ask(&share, cls, 1000);
        assert_int_equal(rounds, most < MOST ? most : MOST);
        assert_int_equal(share.bytes, 0);
        granted_now = GRANTED;
        assert_int_equal(ask(&share, cls, 1000), rounds);
    }
}

static void a_class_begins_small(void **state)
{
    (void)state;
    for (unsigned cls = 1; cls < NH_CLASSES; cls++) {
        struct cache_share share = {.limit = LIMIT};
        unsigned first = ask(&share, cls, 1);
        size_t bytes = size_class_bytes(cls);
        assert_int_equal(first, cache_share_rounds(&share, cls));
        assert_in_range(first, bytes <= GRANTED ? 1 : 0, 4);
        assert_true(first <= 1 || first * bytes <= 1024);
    }
}

/* Every class has its few kilobytes after a few exchanges, whatever the limit. */
static void a_little_is_granted(void **state)
{
    (void)state;
    for (unsigned cls = 1; cls < NH_CLASSES; cls++) {
        struct cache_share share = {.limit = 0};
        size_t bytes = size_class_bytes(cls);
        size_t granted = GRANTED / bytes;
        unsigned before = 0, rounds;
        for (unsigned i = 0; i < 10; i++, before = rounds) {
            rounds = ask(&share, cls, 1);
            assert_true(rounds >= before);
        }
        assert_int_equal(rounds, granted < MOST ? granted : MOST);
        /* And no more, however often it asks. */
        assert_int_equal(ask(&share, cls, 10000), rounds);
        assert_int_equal(share.bytes, 0);
    }
}

static void who_asks_often_has_more(void **state)
{
    (void)state;
    unsigned cls = size_class_of(40000);
    size_t bytes = size_class_bytes(cls);
    struct cache_share share = {.limit = LIMIT};
    assert_int_equal(ask(&share, cls, 10), 0);
    unsigned rounds = ask(&share, cls, 10000);
    /* All that fits: two magazines of it. */
    assert_int_equal(rounds, LIMIT / (2 * bytes));
    assert_int_equal(share.bytes, 2 * rounds * bytes);
    /* Nothing is left for another. */
    assert_int_equal(ask(&share, size_class_of(30000), 10000), 0);
}

/* Who never wanted a magazine, or gave many since, only gives; of each class by itself. */
static void who_wants_none_only_gives(void **state)
{
    (void)state;
    struct cache_share share = {.limit = LIMIT};
    assert_true(cache_share_only_gives(&share, 1));
    assert_true(cache_share_gives(&share, 1));
    cache_share_wants(&share, 1);
    for (unsigned i = 0; i < SHARE_GIVEN_IN_A_ROW; i++) {
        assert_false(cache_share_only_gives(&share, 1));
        assert_false(cache_share_gives(&share, 1));
    }
    assert_true(cache_share_only_gives(&share, 1));
    assert_true(cache_share_gives(&share, 1));
    cache_share_wants(&share, 2);
    assert_true(cache_share_only_gives(&share, 1));
    assert_false(cache_share_only_gives(&share, 2));
    cache_share_clear(&share);
    assert_true(cache_share_only_gives(&share, 2));
}

/* A lower limit and fewer rounds: what was granted stays, and no more is to be had. */
static void what_is_no_longer_allowed_goes(void **state)
{
    (void)state;
    for (unsigned cls = 1; cls < NH_CLASSES; cls++) {
        struct cache_share share = {.limit = LIMIT};
        unsigned before = ask(&share, cls, 10000);
        size_t beyond = share.bytes;
        cache_share_limit(&share, 0);
        cache_share_fit(&share, cls, MOST);
        assert_int_equal(share.bytes, 0);
        unsigned granted = cache_share_rounds(&share, cls);
        assert_int_equal((before - granted) * 2 * size_class_bytes(cls), beyond);
        assert_in_range(ask(&share, cls, 10000), granted, MOST);
        assert_int_equal(share.bytes, 0);
        cache_share_fit(&share, cls, 1);
        assert_in_range(cache_share_rounds(&share, cls), 0, 1);
        cache_share_limit(&share, LIMIT);
        assert_true(ask(&share, cls, 10000) >= before);
    }
}

static void what_is_beyond_stays_within_the_limit(void **state)
{
    (void)state;
    uint64_t random = 4711;
    struct cache_share share = {.limit = LIMIT};
    for (unsigned step = 0; step < 200000; step++) {
        unsigned cls = 1 + (unsigned)random_below(&random, NH_CLASSES - 1);
        if (random_below(&random, 50) == 0)
            (void)cache_share_shrink(&share, cls);
        else
            (void)ask(&share, cls, 1);
        assert_true(share.bytes <= LIMIT);
    }
    size_t bytes = 0;
    for (unsigned cls = 1; cls < NH_CLASSES; cls++) {
        assert_true(share.beyond[cls] <= cache_share_rounds(&share, cls));
        bytes += (size_t)2 * share.beyond[cls] * size_class_bytes(cls);
    }
    assert_true(bytes != 0);
    assert_int_equal(share.bytes, bytes);
    cache_share_clear(&share);
    assert_int_equal(share.bytes, 0);
    for (unsigned cls = 1; cls < NH_CLASSES; cls++)
        assert_int_equal(cache_share_rounds(&share, cls), 0);
}

static void who_does_not_ask_gives_up(void **state)
{
    (void)state;
    unsigned busy = size_class_of(64), idle = size_class_of(256);
    struct cache_share share = {.limit = LIMIT};
    unsigned had_busy = ask(&share, busy, 1000), had_idle = ask(&share, idle, 1000);
    /* The first look says who asked until now. */
    assert_false(cache_share_shrink(&share, busy));
    assert_false(cache_share_shrink(&share, idle));
    for (unsigned look = 0; look < 10; look++) {
        (void)ask(&share, busy, 1);
        assert_false(cache_share_shrink(&share, busy));
        unsigned before = cache_share_rounds(&share, idle);
        assert_int_equal(cache_share_shrink(&share, idle), before != 0);
        assert_true(before == 0 || cache_share_rounds(&share, idle) < before);
    }
    assert_int_equal(cache_share_rounds(&share, busy), had_busy);
    assert_int_equal(cache_share_rounds(&share, idle), 0);
    assert_int_equal(ask(&share, idle, 1000), had_idle);
}

static void the_most_is_kept(void **state)
{
    (void)state;
    struct cache_share share = {.limit = LIMIT};
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(cache_share_ask(&share, 1, 1, &granted_now), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grant_is_a_part_of_the_heap),
        cmocka_unit_test(a_larger_grant),
        cmocka_unit_test(a_class_begins_small),
        cmocka_unit_test(a_little_is_granted),
        cmocka_unit_test(who_asks_often_has_more),
        cmocka_unit_test(who_wants_none_only_gives),
        cmocka_unit_test(what_is_no_longer_allowed_goes),
        cmocka_unit_test(what_is_beyond_stays_within_the_limit),
        cmocka_unit_test(who_does_not_ask_gives_up),
        cmocka_unit_test(the_most_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
