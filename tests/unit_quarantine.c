/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit_quarantine.c - what goes in comes out, once, in no order that could be foretold, and
 * never by its own coming; the bounds hold at every step.
 */
#include "unit.h"

#include "quarantine.h"

#define OBJECTS 200000

static struct quarantine quarantine;
static uint8_t inside[OBJECTS];

static void *object(size_t n)
{
    return (void *)((n + 1) * NH_GRAIN);
}

static size_t number(const void *ptr)
{
    return (uintptr_t)ptr / NH_GRAIN - 1;
}

static void check_sums(void)
{
    size_t bytes = 0, of_class[NH_CLASSES] = {0};
    for (size_t i = 0; i < quarantine.count; i++) {
        bytes += quarantine.held[i].bytes;
        of_class[quarantine.held[i].cls]++;
    }
    assert_int_equal(quarantine.bytes, bytes);
    for (unsigned cls = 0; cls < NH_CLASSES; cls++)
        assert_int_equal(quarantine.of_class[cls], of_class[cls]);
}

/* Puts object n in; returns how many it drove out. */
static size_t put(size_t n, unsigned cls, size_t bytes, uint64_t *random)
{
    struct quarantined in = {.object = object(n), .bytes = (uint32_t)bytes, .cls = cls};
    size_t driven = 0;
    for (bool done = false; !done;) {
        struct quarantined out;
        done = quarantine_put(&quarantine, &in, (uint32_t)random_next(random), &out);
        assert_true(quarantine.count <= NH_QUARANTINE_OBJECTS);
        assert_true(quarantine.bytes <= NH_QUARANTINE_BYTES);
        if (out.object == NULL)
            continue;
        assert_int_not_equal(number(out.object), n);
        assert_int_equal(inside[number(out.object)], 1);
        inside[number(out.object)] = 0;
        driven++;
    }
    inside[n] = 1;
    return driven;
}

static int begin(void **state)
{
    (void)state;
    memset(&quarantine, 0, sizeof(quarantine));
    memset(inside, 0, sizeof(inside));
    return 0;
}

static void all_come_out_once(void **state)
{
    (void)state;
    uint64_t random = 4711;
    for (size_t n = 0; n < OBJECTS; n++) {
        unsigned cls = 1 + (unsigned)random_below(&random, NH_CLASSES - 1);
        (void)put(n, cls, NH_GRAIN << random_below(&random, 13), &random);
        if (n % 1000 == 0)
            check_sums();
    }
    struct quarantined out;
    while (quarantine_take(&quarantine, (uint32_t)random_next(&random), &out)) {
        assert_int_equal(inside[number(out.object)], 1);
        inside[number(out.object)] = 0;
    }
    assert_int_equal(quarantine.bytes, 0);
    check_sums();
    for (size_t n = 0; n < OBJECTS; n++)
        assert_int_equal(inside[n], 0);
}

/* Full of small ones: each drives out one, and after as many as it holds about 1/e of the
 * first are left. */
static void random_replacement(void **state)
{
    (void)state;
    uint64_t random = 1234;
    for (size_t n = 0; n < NH_QUARANTINE_OBJECTS; n++)
        assert_int_equal(put(n, 1, NH_GRAIN, &random), 0);
    for (size_t n = NH_QUARANTINE_OBJECTS; n < 2 * NH_QUARANTINE_OBJECTS; n++)
        assert_int_equal(put(n, 1, NH_GRAIN, &random), 1);
    size_t left = 0;
    for (size_t n = 0; n < NH_QUARANTINE_OBJECTS; n++)
        left += inside[n];
    assert_in_range(left, NH_QUARANTINE_OBJECTS * 33 / 100, NH_QUARANTINE_OBJECTS * 41 / 100);
}

/* A large one drives out as many small ones as are as long. */
static void bytes_are_bounded(void **state)
{
    (void)state;
    uint64_t random = 77;
    size_t small = NH_QUARANTINE_BYTES / NH_QUARANTINE_OBJECTS;
    for (size_t n = 0; n < NH_QUARANTINE_OBJECTS; n++)
        (void)put(n, 1, small, &random);
    assert_int_equal(quarantine.bytes, NH_QUARANTINE_BYTES);
    assert_int_equal(put(NH_QUARANTINE_OBJECTS, 2, NH_CLASS_MAX, &random), NH_CLASS_MAX / small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(all_come_out_once, begin),
        cmocka_unit_test_setup(random_replacement, begin),
        cmocka_unit_test_setup(bytes_are_bounded, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
