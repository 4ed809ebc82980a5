/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit_span_table.c - the table of all addresses: borders of leaves, addresses
 * that are nobody's or no address at all, and readers beside writers.
 *
 * The addresses are made up and never touched; each test has leaves of its own.
 */
#include "limits.h"
#include "span_table.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define LEAF      ((uintptr_t)1 << TABLE_LEAF_SHIFT)
#define SPACE_END ((uintptr_t)1 << NH_ADDRESS_BITS)
#define BASE      ((uintptr_t)0x100000000000)

static void describe(struct span *span, uintptr_t base, size_t pages, enum span_state state)
{
    span->base = base;
    span->pages = pages;
    span_set_state(span, state);
}

static const struct span *find(uintptr_t address)
{
    struct span_view view;
    return span_table_find(address, &view) == SPAN_FOUND ? view.span : NULL;
}

static void assert_nobodys(uintptr_t address)
{
    assert_int_equal(span_table_home(address), 0);
    assert_null(span_table_hint(address));
    assert_null(find(address));
}

static void no_address_faults(void **state)
{
    (void)state;
    static struct span span;
    uintptr_t base = BASE;
    assert_true(span_table_cover(base, 1));
    describe(&span, base, 1, SPAN_IN_USE);
    span_table_set(base, 1, &span);
    span_table_set_home(base, 1, 16);

    static const uintptr_t garbage[] = {
        0,
        1,
        NH_PAGE - 1,
        ~(uintptr_t)0,
        SPACE_END - 1,
        SPACE_END,
        SPACE_END | 0x123456789000,
        0x0000ffffffffffff,
        0x0001000000000000,
        0x8000000000000000,
        0xdeadbeefdeadbeef,
        0xffff800000000000,
        0xffff888000000000,
        0xffffffff80000000,
        0xffffffffff600000,
    };
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++)
        assert_nobodys(garbage[i]);
    for (unsigned bit = 0; bit < 64; bit++) {
        if ((uintptr_t)1 << bit != base)
            assert_nobodys((uintptr_t)1 << bit);
        assert_nobodys(((uintptr_t)1 << bit) - 1);
        assert_nobodys(~((uintptr_t)1 << bit));
    }
    unsigned short seed[3] = {1, 2, 3};
    for (unsigned i = 0; i < 100000; i++) {
        uintptr_t high = (uintptr_t)jrand48(seed) << 32;
        uintptr_t address = high | (uint32_t)jrand48(seed);
        if ((uint16_t)(address >> 32) != (uint16_t)(base >> 32))
            assert_nobodys(address);
    }
    /* Above bit 47 the home word does not look; the span is another matter. */
    for (unsigned bit = NH_ADDRESS_BITS; bit < 64; bit++) {
        assert_null(span_table_hint(base | (uintptr_t)1 << bit));
        assert_null(find(base | (uintptr_t)1 << bit));
    }
    assert_int_equal(span_table_home(base | (uintptr_t)1 << 47), 0);
    assert_ptr_equal(find(base), &span);
}

static void cover_knows_the_end_of_the_space(void **state)
{
    (void)state;
    assert_true(span_table_cover(SPACE_END - NH_PAGE, 1));
    assert_false(span_table_cover(SPACE_END - NH_PAGE, 2));
    assert_false(span_table_cover(SPACE_END, 1));
    assert_false(span_table_cover(0xffff800000000000, 1));
    assert_false(span_table_cover(round_down(UINTPTR_MAX, NH_PAGE) - NH_PAGE, 1));

    static struct span span;
    describe(&span, SPACE_END - NH_PAGE, 1, SPAN_IN_USE);
    span_table_set(span.base, 1, &span);
    assert_ptr_equal(find(SPACE_END - 1), &span);
    assert_nobodys(SPACE_END);
    assert_nobodys(SPACE_END - NH_PAGE - 1);
}

/* Every page of [base, base + pages), and none beside it. */
static void check_range(uintptr_t base, size_t pages)
{
    static struct span spans[64];
    static size_t used;
    struct span *span = &spans[used++];
    assert_true(used <= sizeof(spans) / sizeof(spans[0]));

    assert_true(span_table_cover(base, pages));
    assert_nobodys(base);
    describe(span, base, pages, SPAN_IN_USE);
    span_table_set(base, pages, span);
    span_table_set_home(base, pages, 4096 + 16);
    uintptr_t end = base + pages * NH_PAGE;
    for (uintptr_t at = base; at < end; at += NH_PAGE) {
        assert_ptr_equal(find(at), span);
        assert_ptr_equal(find(at + 1), span);
        assert_ptr_equal(find(at + NH_PAGE - 1), span);
        assert_int_equal(span_table_home(at), 4096 + 16);
        assert_int_equal(span_table_home(at + NH_PAGE - 1), 4096 + 16);
    }
    assert_nobodys(base - 1);
    assert_nobodys(end);

    /* The two entries of a page are independent. */
    span_table_set_home(base, pages, 0);
    for (uintptr_t at = base; at < end; at += NH_PAGE) {
        assert_int_equal(span_table_home(at), 0);
        assert_ptr_equal(find(at), span);
    }
    span_table_set(base, pages, NULL);
    for (uintptr_t at = base; at < end; at += NH_PAGE)
        assert_nobodys(at);
}

static void ranges_near_borders(void **state)
{
    (void)state;
    uintptr_t border = BASE + 16 * LEAF;
    check_range(border, 3);
    check_range(border - 3 * NH_PAGE, 3);
    check_range(border - NH_PAGE, 2);
    check_range(border - 5 * NH_PAGE, 12);
    check_range(border + LEAF - NH_PAGE, 1);
    /* One word differs from the next page's, at every place in a word or line. */
    for (uintptr_t page = 100; page < 117; page++)
        check_range(border + page * NH_PAGE, 1);
    /* A whole leaf and a page on either side. */
    border = BASE + 32 * LEAF;
    check_range(border - NH_PAGE, TABLE_LEAF_PAGES + 2);
    check_range(LEAF - 2 * NH_PAGE, 4); /* the first of all leaves */
}

static void without_a_leaf_nothing_is_there(void **state)
{
    (void)state;
    uintptr_t base = BASE + 64 * LEAF;
    assert_nobodys(base);
    assert_true(span_table_cover(base, 1));
    /* Its neighbours still have none. */
    assert_nobodys(base - NH_PAGE);
    assert_nobodys(base + LEAF);
    static struct span span;
    describe(&span, base, 1, SPAN_MANUAL);
    span_table_set(base, 1, &span);
    assert_true(span_table_cover(base, 1)); /* again, which changes nothing */
    assert_true(span_table_cover(base - NH_PAGE, 3));
    assert_ptr_equal(find(base), &span);
}

/* A pointer in the table may be stale: range and state decide. */
static void find_checks_range_and_state(void **state)
{
    (void)state;
    uintptr_t base = BASE + 80 * LEAF;
    static struct span span;
    assert_true(span_table_cover(base, 8));
    span_table_set(base, 8, &span);
    span.base = base + 2 * NH_PAGE;
    span.pages = 4;
    assert_null(find(base + 3 * NH_PAGE)); /* DEAD */

    static const enum span_state states[] = {SPAN_FREE, SPAN_IN_USE, SPAN_FREE, SPAN_MANUAL};
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        span_set_state(&span, states[i]);
        assert_null(find(base));
        assert_null(find(span.base - 1));
        assert_ptr_equal(find(span.base), &span);
        assert_ptr_equal(find(span_end(&span) - 1), &span);
        assert_null(find(span_end(&span)));
        assert_null(find(base + 8 * NH_PAGE - 1));
        assert_ptr_equal(span_table_hint(base), &span);
    }
    span_set_state(&span, SPAN_FREE);
    span_set_state(&span, SPAN_DEAD);
    assert_null(find(span.base));
}

/* While a span changes nothing is said of it, and afterwards what it is by then. */
static void find_does_not_believe_a_changing_span(void **state)
{
    (void)state;
    uintptr_t base = BASE + 84 * LEAF;
    static struct span span;
    struct span_view view;
    assert_true(span_table_cover(base, 4));
    describe(&span, base, 4, SPAN_IN_USE);
    span_table_set(base, 4, &span);
    assert_int_equal(span_table_find(base, &view), SPAN_FOUND);
    assert_true(span_is_still(&view));
    uint64_t before = view.version;

    span_change(&span);
    assert_false(span_is_still(&view));
    assert_int_equal(span_table_find(base, &view), SPAN_UNKNOWN);
    span_store(&span.pages, 2);
    assert_int_equal(span_table_find(base + NH_PAGE, &view), SPAN_UNKNOWN);
    span_settle(&span);
    assert_int_equal(span_table_find(base + NH_PAGE, &view), SPAN_FOUND);
    assert_int_equal(view.pages, 2);
    assert_int_equal(view.version, before + 2);
    assert_int_equal(span_table_find(base + 2 * NH_PAGE, &view), SPAN_NONE);
}

/* From each of its pages, whatever the table says there; and from none beside it. */
static void a_free_span_is_found_from_all_its_pages(void **state)
{
    (void)state;
    enum { RANGE = 600 };
    uintptr_t base = BASE + 90 * LEAF - RANGE / 2 * NH_PAGE; /* over the border of two leaves */
    static struct span span, stale, dead;
    assert_true(span_table_cover(base, RANGE));
    describe(&stale, base - NH_PAGE, 1, SPAN_IN_USE);
    describe(&dead, base, RANGE, SPAN_FREE);
    span_set_state(&dead, SPAN_DEAD);
    describe(&span, base, 1, SPAN_FREE);
    unsigned short seed[3] = {7, 8, 9};
    for (unsigned round = 0; round < 400; round++) {
        size_t first = (size_t)nrand48(seed) % RANGE;
        size_t pages = 1 + (size_t)nrand48(seed) % (RANGE - first);
        for (size_t i = 0; i < RANGE; i++) {
            long what = nrand48(seed) % 4;
            span_table_set(base + i * NH_PAGE, 1, what == 0 ? NULL : (what == 1 ? &stale : &dead));
        }
        span.base = base + first * NH_PAGE;
        span.pages = pages;
        span_table_set_free(&span);
        for (size_t i = 0; i < RANGE; i++)
            assert_ptr_equal(find(base + i * NH_PAGE + 1),
                             i >= first && i < first + pages ? &span : NULL);
    }
    /* Most ends and lengths there are, small ones. */
    for (size_t first = 0; first < 40; first++)
        for (size_t pages = 1; first + pages <= 40; pages++) {
            span_table_set(base, 40, &stale);
            span.base = base + first * NH_PAGE;
            span.pages = pages;
            span_table_set_free(&span);
            for (size_t i = 0; i < 40; i++)
                assert_ptr_equal(find(base + i * NH_PAGE),
                                 i >= first && i < first + pages ? &span : NULL);
        }
}

#define ROUNDS  20000
#define PLACES  64 /* spans seen at a time; neighbours, across the border of two leaves */
#define PAGES   3
#define READERS 3

/* Written once each, then published: what find reads of them is ordered by the
 * table's own pointer. */
static struct span published[ROUNDS];
static uintptr_t shared_base;
static _Atomic bool writer_done;

static void *writes(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < ROUNDS; i++) {
        struct span *span = &published[i];
        uintptr_t at = shared_base + i % PLACES * PAGES * NH_PAGE;
        span_table_set_home(at, PAGES, 0);
        describe(span, at, PAGES, SPAN_IN_USE);
        span_table_set(at, PAGES, span);
        span_table_set_home(at, PAGES, (uint32_t)(i + 1) * 16);
        /* New leaves come meanwhile. */
        if (i % (ROUNDS / 16) == 0)
            span_table_cover(shared_base + (i / (ROUNDS / 16) + 2) * LEAF, 1);
    }
    atomic_store(&writer_done, true);
    return NULL;
}

struct reader {
    pthread_t thread;
    unsigned short seed[3];
    size_t wrong, found;
};

static void *reads(void *arg)
{
    struct reader *reader = arg;
    bool last = false;
    size_t lookups = 0;
    /* Once more after the writer's end: then everything is found. */
    while (!last || lookups < 10000) {
        last = atomic_load(&writer_done);
        size_t place = (size_t)nrand48(reader->seed) % PLACES;
        uintptr_t at = shared_base + place * PAGES * NH_PAGE +
                       (size_t)nrand48(reader->seed) % (PAGES * NH_PAGE);
        const struct span *span = find(at);
        if (span != NULL) {
            reader->found++;
            if (span < published || span >= published + ROUNDS ||
                (size_t)(span - published) % PLACES != place)
                reader->wrong++;
        } else if (last) {
            reader->wrong++;
        }
        uint32_t home = span_table_home(at);
        if (home != 0 && (home % 16 != 0 || (home / 16 - 1) % PLACES != place))
            reader->wrong++;
        /* In leaves that may be made at this moment. */
        uintptr_t nowhere = shared_base + (2 + place % 16) * LEAF + at % LEAF;
        if (find(nowhere) != NULL || span_table_home(nowhere) != 0)
            reader->wrong++;
        lookups++;
    }
    return NULL;
}

static void readers_beside_a_writer(void **state)
{
    (void)state;
    shared_base = BASE + 97 * LEAF - PLACES / 2 * PAGES * NH_PAGE;
    assert_true(span_table_cover(shared_base, PLACES * PAGES));
    struct reader readers[READERS] = {0};
    pthread_t writer;
    for (unsigned i = 0; i < READERS; i++) {
        readers[i].seed[0] = (unsigned short)i;
        assert_int_equal(pthread_create(&readers[i].thread, NULL, reads, &readers[i]), 0);
    }
    assert_int_equal(pthread_create(&writer, NULL, writes, NULL), 0);
    assert_int_equal(pthread_join(writer, NULL), 0);
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        assert_int_equal(readers[i].wrong, 0);
        assert_true(readers[i].found > 0);
    }
}

#define COVERERS 4

static struct span covered[COVERERS];
static uintptr_t covered_base;
static _Atomic unsigned ended;

static void *covers(void *arg)
{
    struct span *span = arg;
    uintptr_t at = covered_base + (uintptr_t)(span - covered) * NH_PAGE;
    if (span_table_cover(at, 1))
        span_table_set(at, 1, span);
    atomic_fetch_add(&ended, 1);
    return NULL;
}

/* While the lock is held, as fork does, nothing grows; and all who found that
 * a leaf is missing get the same one: else what some of them set would be lost. */
static void growth_waits_and_is_done_once(void **state)
{
    (void)state;
    pthread_t threads[COVERERS];
    assert_true(span_table_cover(BASE, 1));
    covered_base = BASE + 200 * LEAF;
    span_table_lock();
    for (unsigned i = 0; i < COVERERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, covers, &covered[i]), 0);
    usleep(50000);
    assert_int_equal(atomic_load(&ended), 0);
    span_table_unlock();
    for (unsigned i = 0; i < COVERERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (uintptr_t i = 0; i < COVERERS; i++)
        assert_ptr_equal(span_table_hint(covered_base + i * NH_PAGE), &covered[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_address_faults),
        cmocka_unit_test(cover_knows_the_end_of_the_space),
        cmocka_unit_test(ranges_near_borders),
        cmocka_unit_test(without_a_leaf_nothing_is_there),
        cmocka_unit_test(find_checks_range_and_state),
        cmocka_unit_test(find_does_not_believe_a_changing_span),
        cmocka_unit_test(a_free_span_is_found_from_all_its_pages),
        cmocka_unit_test(readers_beside_a_writer),
        cmocka_unit_test(growth_waits_and_is_done_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
