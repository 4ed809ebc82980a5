/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Size classes: every size from 0 to 1 MiB, every offset of every span.
 */
#include "unit.h"

#include "size_class.h"

static void every_size(void **state)
{
    (void)state;
    unsigned last = 0;
    for (size_t size = 0; size <= (size_t)1 << 20; size++) {
        unsigned cls = size_class_of(size);
        if (size == 0 || size > NH_CLASS_MAX) {
            assert_int_equal(cls, 0);
            continue;
        }
        assert_in_range(cls, 1, NH_CLASSES - 1);
        assert_true(cls == last || cls == last + 1); /* none is left out */
        last = cls;
        size_t bytes = size_class_bytes(cls);
        assert_true(bytes >= size);
        assert_true(cls == 1 || size_class_bytes(cls - 1) < size); /* the smallest */
        assert_int_equal(bytes % NH_GRAIN, 0);
        if (size > 128)
            assert_true((bytes - size) * 8 <= bytes);
        if (is_power_of_two(size) && size >= NH_GRAIN)
            assert_int_equal(bytes, size);
    }
    assert_int_equal(last, NH_CLASSES - 1);
    assert_int_equal(size_class_of(SIZE_MAX), 0);
}

static void every_offset(void **state)
{
    (void)state;
    for (unsigned cls = 1; cls < NH_CLASSES; cls++) {
        struct size_class cut;
        size_class_describe(cls, &cut);
        size_t length = (size_t)cut.pages << NH_PAGE_SHIFT;
        assert_int_equal(cut.bytes, size_class_bytes(cls));
        assert_true(cut.bytes >= cls * NH_GRAIN); /* sized free counts on it (fast.c) */
        assert_in_range(cut.objects, 2, NH_SPAN_OBJECTS_MAX);
        assert_true(cut.objects * (size_t)cut.bytes <= length);
        assert_true((length - cut.objects * (size_t)cut.bytes) * 16 <= length);
        bool natural = is_power_of_two(cut.bytes) && cut.bytes > NH_PAGE;
        assert_int_equal(cut.align_pages, natural ? cut.bytes / NH_PAGE : 1);
        for (size_t offset = 0; offset < length; offset++)
            if (size_class_index(cut.index_magic, offset) != offset / cut.bytes)
                fail_msg("class %u, offset %zu", cls, offset);
    }
}

/* Whether all objects of a class are aligned so, from how its spans are cut. */
static bool is_aligned_class(unsigned cls, size_t alignment)
{
    struct size_class cut;
    size_class_describe(cls, &cut);
    return cut.bytes % alignment == 0 &&
           (alignment <= NH_PAGE || cut.align_pages * NH_PAGE % alignment == 0);
}

static void every_alignment(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= NH_CLASS_MAX; alignment *= 2) {
        unsigned expected = 1;
        for (size_t size = 0; size <= NH_CLASS_MAX + NH_PAGE + 1; size++) {
            while (expected != 0 &&
                   (size_class_bytes(expected) < size || !is_aligned_class(expected, alignment)))
                expected = expected + 1 < NH_CLASSES ? expected + 1 : 0;
            unsigned cls = size_class_aligned(size, alignment);
            /* Beyond a page it may say that a class is not worth it. */
            if (cls != 0 || alignment <= NH_PAGE || size >= alignment / 2)
                assert_int_equal(cls, expected);
            assert_int_equal(
                size_class_aligned_small(size, alignment),
                round_up(size, alignment) <= NH_SMALL_MAX && alignment <= NH_SMALL_MAX ? cls : 0);
        }
        assert_int_equal(expected, 0);
        /* Rounding these up overflows. */
        assert_int_equal(size_class_aligned(SIZE_MAX, alignment), 0);
        assert_int_equal(size_class_aligned(SIZE_MAX - alignment + 1, alignment), 0);
        assert_int_equal(size_class_aligned_small(SIZE_MAX, alignment), 0);
        assert_int_equal(size_class_aligned_small(SIZE_MAX - alignment + 1, alignment), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size),
        cmocka_unit_test(every_offset),
        cmocka_unit_test(every_alignment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
