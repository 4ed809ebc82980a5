/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit_special.c - records of objects: one of a kind, found and taken again whatever
 * the number of others, and home words that are as before when a page's last has gone.
 */
#include "nearheap.h"
#include "special.h"

#include "unit.h"

/* Enough for several doublings of each shard. */
#define OBJECTS 20000

static void nothing(void *ptr, void *arg)
{
    (void)ptr, (void)arg;
}

static bool attach(void *object)
{
    struct special *special = special_new(object, SPECIAL_FINALIZER);
    assert_non_null(special);
    special->finalizer.fn = nothing;
    if (special_link(special, object))
        return true;
    special_drop(special);
    return false;
}

static unsigned word_class(const void *object)
{
    return row_home_class(span_table_home((uintptr_t)object));
}

static void home_words(void **state)
{
    (void)state;
    static const size_t sizes[] = {16, 64, 1000, 9000, 65536, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *object = nh_malloc(sizes[i]);
        uint32_t before = span_table_home((uintptr_t)object);
        assert_true(special_may_have(object));
        assert_int_not_equal(before, 0);
        assert_true(attach(object));
        assert_int_equal(word_class(object), NH_CLASS_SPECIAL);
        assert_int_equal(object_home(object), before);
        assert_false(attach(object));
        struct special *special = special_unlink(object, SPECIAL_FINALIZER);
        assert_non_null(special);
        assert_int_equal(span_table_home((uintptr_t)object), before);
        assert_null(special_unlink(object, SPECIAL_FINALIZER));
        special_drop(special);
        nh_free(object);
    }
}

static void many(void **state)
{
    (void)state;
    void **objects = test_malloc(OBJECTS * sizeof *objects);
    bool *attached = test_calloc(OBJECTS, sizeof *attached);
    uint32_t *before = test_malloc(OBJECTS * sizeof *before);
    uint64_t random = 5;
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = nh_malloc(1 + random_below(&random, 300));
        before[i] = span_table_home((uintptr_t)objects[i]);
    }
    /* Attached and taken in any order; a model of one bit each. */
    for (size_t step = 0; step < 5 * (size_t)OBJECTS; step++) {
        size_t i = random_below(&random, OBJECTS);
        if (!attached[i]) {
            assert_true(attach(objects[i]));
            attached[i] = true;
        } else if (random_below(&random, 4) == 0) {
            struct special *special = special_unlink(objects[i], SPECIAL_FINALIZER);
            assert_non_null(special);
            special_drop(special);
            attached[i] = false;
        } else {
            assert_false(attach(objects[i]));
        }
        assert_int_equal(object_home(objects[i]), before[i]);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        struct special *special = special_unlink(objects[i], SPECIAL_FINALIZER);
        assert_int_equal(special != NULL, attached[i]);
        if (special != NULL)
            special_drop(special);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        assert_int_equal(span_table_home((uintptr_t)objects[i]), before[i]);
        nh_free(objects[i]);
    }
    test_free(before);
    test_free(attached);
    test_free(objects);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(home_words),
        cmocka_unit_test(many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
