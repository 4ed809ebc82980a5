/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The free bits of a span against an array of booleans.
 */
#include "unit.h"

#include "object_bits.h"

#define BASE ((uintptr_t)0x7000000000)

static void fill_is_exact(void **state)
{
    (void)state;
    for (unsigned count = 0; count <= NH_SPAN_OBJECTS_MAX; count++) {
        struct object_bits bits;
        object_bits_fill(&bits, count);
        for (unsigned i = 0; i < NH_SPAN_OBJECTS_MAX; i++)
            assert_int_equal(object_bits_is_free(&bits, i), i < count);
    }
}

static void against_a_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t random = seed * 7919;
        unsigned count = 1 + (unsigned)random_below(&random, NH_SPAN_OBJECTS_MAX);
        size_t bytes = NH_GRAIN * (1 + random_below(&random, 100));
        bool model[NH_SPAN_OBJECTS_MAX] = {false};
        struct object_bits bits;
        uint8_t cursor = 0;
        object_bits_fill(&bits, count);
        for (unsigned i = 0; i < count; i++)
            model[i] = true;
        for (int step = 0; step < 2000; step++) {
            if (random_below(&random, 2) == 0) {
                void *taken[64];
                unsigned want = 1 + (unsigned)random_below(&random, 64);
                unsigned n = object_bits_take(&bits, &cursor, want, BASE, bytes, taken);
                unsigned expected = 0;
                for (unsigned i = 0; i < count && expected < want; i++)
                    if (model[i]) {
                        /* The lowest ones, in rising order. */
                        assert_ptr_equal(taken[expected], (void *)(BASE + i * bytes));
                        model[i] = false;
                        expected++;
                    }
                assert_int_equal(n, expected);
            } else {
                unsigned i = (unsigned)random_below(&random, count);
                assert_int_equal(object_bits_put(&bits, &cursor, i), !model[i]);
                model[i] = true;
            }
            for (unsigned i = 0; i < count; i++)
                assert_int_equal(object_bits_is_free(&bits, i), model[i]);
            for (unsigned word = 0; word < cursor && word < OBJECT_BITS_WORDS; word++)
                assert_true(bits.free[word] == 0);
        }
    }
}

/* Only objects of lines that are wholly free, lowest first, no more than wanted. */
static void lines_are_whole(void **state)
{
    (void)state;
    uint64_t random = 7;
    for (size_t bytes = 16; bytes <= 32; bytes *= 2) {
        unsigned in_line = (unsigned)(NH_CACHE_LINE / bytes);
        for (int round = 0; round < 2000; round++) {
            unsigned count = 1 + (unsigned)random_below(&random, NH_SPAN_OBJECTS_MAX);
            struct object_bits bits;
            uint8_t cursor = 0;
            void *taken[NH_SPAN_OBJECTS_MAX];
            bool model[NH_SPAN_OBJECTS_MAX];
            object_bits_fill(&bits, count);
            unsigned used = (unsigned)random_below(&random, count);
            for (unsigned i = 0; i < used; i++) {
                unsigned at = (unsigned)random_below(&random, count);
                bits.free[at / 64] &= ~((uint64_t)1 << at % 64);
            }
            for (unsigned i = 0; i < count; i++)
                model[i] = object_bits_is_free(&bits, i);
            unsigned want = in_line * (1 + (unsigned)random_below(&random, 4));
            unsigned n = object_bits_take_lines(&bits, &cursor, want, BASE, bytes, taken);
            unsigned expected = 0;
            for (unsigned first = 0; first + in_line <= count; first += in_line) {
                unsigned whole = 0;
                while (whole < in_line && model[first + whole])
                    whole++;
                if (whole != in_line || expected == want)
                    continue;
                for (unsigned i = first; i < first + in_line; i++) {
                    assert_ptr_equal(taken[expected++], (void *)(BASE + i * bytes));
                    model[i] = false;
                }
            }
            assert_int_equal(n, expected);
            for (unsigned i = 0; i < count; i++)
                assert_int_equal(object_bits_is_free(&bits, i), model[i]);
        }
    }
}

static void any_can_be_taken(void **state)
{
    (void)state;
    uint64_t random = 99;
    bool model[NH_SPAN_OBJECTS_MAX] = {false};
    struct object_bits bits;
    unsigned count = NH_SPAN_OBJECTS_MAX - 3;
    object_bits_fill(&bits, count);
    for (unsigned i = 0; i < count; i++)
        model[i] = true;
    for (unsigned left = count; left > 0; left--) {
        unsigned before = (unsigned)random_below(&random, left);
        unsigned expected = 0;
        for (unsigned seen = 0; !model[expected] || seen++ != before;)
            expected++;
        assert_int_equal(object_bits_take_nth(&bits, before), expected);
        model[expected] = false;
        for (unsigned i = 0; i < count; i++)
            assert_int_equal(object_bits_is_free(&bits, i), model[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fill_is_exact),
        cmocka_unit_test(against_a_model),
        cmocka_unit_test(lines_are_whole),
        cmocka_unit_test(any_can_be_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
