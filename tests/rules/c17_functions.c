/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * c17_functions.c - tests of what C17 and C23 say of each function by itself, a test for each
 * rule; rules.def tells what they say.
 */
#include "rules.h"

#include "../stay.h"

#include <string.h>

/* ---- 7.22.3.1 aligned_alloc ---- */

void c17_7_22_3_1_aligned_alloc_aligns(void **state)
{
    (void)state;
    for (size_t alignment = 16; alignment <= (size_t)1 << 30; alignment *= 2)
        for (size_t multiple = 1; multiple <= 3 && multiple * alignment <= 1 << 20; multiple++) {
            size_t size = multiple * alignment;
            void *at = aligned_alloc(alignment, size), *other = aligned_alloc(alignment, size);
            rules_check_aligned(at, alignment);
            rules_check_aligned(other, alignment);
            rules_check_apart(at, size, other, size);
        }
    void *far = aligned_alloc((size_t)1 << 30, 4096);
    rules_check_aligned(far, (size_t)1 << 30);
    free(far);
}

void c17_7_22_3_1_aligned_alloc_takes_fundamental_alignments(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= _Alignof(max_align_t); alignment *= 2)
        for (size_t i = 0; i < rules_size_count; i++) {
            size_t size = (rules_sizes[i] + alignment - 1) / alignment * alignment;
            void *at = aligned_alloc(alignment, size);
            rules_check_aligned(at, alignment);
            rules_fill(at, size, 5);
            rules_check(at, size, 5);
            free(at);
        }
}

void c17_7_22_3_1_aligned_alloc_takes_any_size(void **state)
{
    (void)state;
    for (size_t alignment = 16; alignment <= 65536; alignment *= 4)
        for (size_t i = 0; i < rules_size_count; i++) {
            void *at = aligned_alloc(alignment, rules_sizes[i]);
            rules_check_aligned(at, alignment);
            rules_fill(at, rules_sizes[i], 6);
            rules_check(at, rules_sizes[i], 6);
            free(at);
        }
}

void c17_7_22_3_1_aligned_alloc_fails_for_what_is_no_alignment(void **state)
{
    (void)state;
    static const size_t none[] = {0, 3, 65, 48, 1000, SIZE_MAX};
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        assert_null(aligned_alloc(rules_opaque(none[i]), 64));
    /* The largest power of two is one, but there is no such memory. */
    assert_null(aligned_alloc(rules_opaque(SIZE_MAX / 2 + 1), 64));
}

/* ---- 7.22.3.2 calloc ---- */

void c17_7_22_3_2_calloc_holds_the_array(void **state)
{
    (void)state;
    for (size_t count = 1; count < 3000; count = count * 3 + 1)
        for (size_t size = 1; size < 3000; size = size * 2 + 1) {
            void *at = calloc(count, size), *other = calloc(size, count);
            assert_non_null(at);
            assert_non_null(other);
            rules_fill(at, count * size, 1);
            rules_fill(other, count * size, 2);
            rules_check(at, count * size, 1);
            free(at);
            free(other);
        }
}

void c17_7_22_3_2_calloc_is_all_zero(void **state)
{
    (void)state;
    void *kept[8];
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < rules_size_count; i++) {
            for (size_t k = 0; k < 8; k++)
                kept[k] = memset(malloc(rules_sizes[i]), 0xff, rules_sizes[i]);
            for (size_t k = 0; k < 8; k++)
                free(kept[k]);
            for (size_t k = 0; k < 8; k++) {
                kept[k] = calloc(rules_sizes[i], 1);
                rules_check_zero(kept[k], rules_sizes[i]);
                memset(kept[k], 0xff, rules_sizes[i]);
            }
            for (size_t k = 0; k < 8; k++)
                free(kept[k]);
            if (round == 1) /* memory that went back to the system and comes again */
                malloc_trim(0);
        }
}

void c17_7_22_3_2_calloc_fails_where_the_product_overflows(void **state)
{
    (void)state;
    for (size_t n = 2; n != 0; n <<= 1) {
        assert_null(calloc(rules_opaque(SIZE_MAX / n + 1), n));
        assert_null(calloc(n, rules_opaque(SIZE_MAX / n + 1)));
        assert_null(calloc(rules_opaque(PTRDIFF_MAX / n + 1), n));
    }
    assert_null(calloc(rules_opaque((size_t)1 << 33), (size_t)1 << 33));
    assert_null(calloc(65537, rules_opaque(SIZE_MAX / 65537 + 1)));
}

/* ---- 7.22.3.3 free ---- */

void c17_7_22_3_3_free_of_null_does_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        free(NULL);
}

void c17_7_22_3_3_free_takes_what_each_function_gave(void **state)
{
    (void)state;
    for (size_t i = 0; i < rules_size_count; i++) {
        size_t size = rules_sizes[i];
        void *objects[RULES_GIVERS];
        for (size_t k = 0; k < RULES_GIVERS; k++) {
            objects[k] = rules_givers[k].give(size);
            assert_non_null(objects[k]);
            rules_fill(objects[k], size, (unsigned)k);
        }
        for (size_t k = 0; k < RULES_GIVERS; k++) {
            rules_check(objects[k], size, (unsigned)k);
            free(objects[k]);
        }
    }
}

static void free_any(void *at, size_t size)
{
    (void)size;
    free(at);
}

void c17_7_22_3_3_free_makes_the_memory_available(void **state)
{
    (void)state;
    for (size_t i = 0; i < RULES_GIVERS; i++)
        rules_check_frees(rules_givers[i].give, free_any);
    enum { OBJECTS = 32, TIMES = 64 };
    static void *objects[OBJECTS];
    size_t sizes[] = {300, 20000, (size_t)256 << 10};
    cpu_set_t everywhere = stay_here();
    size_t before = resident_bytes();
    for (int round = 0; round < TIMES; round++)
        for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
            for (size_t i = 0; i < OBJECTS; i++)
                objects[i] = memset(malloc(sizes[s]), round, sizes[s]);
            for (size_t i = 0; i < OBJECTS; i++)
                free(objects[i]);
        }
    rules_check_resident(before);
    stay_on(&everywhere);
}

/* ---- 7.22.3.4 malloc, 7.22.3.5 realloc ---- */

void c17_7_22_3_4_malloc_gives_the_size(void **state)
{
    (void)state;
    for (size_t size = 1; size < (size_t)20 << 20; size = size * 5 / 4 + 1) {
        void *at = malloc(size);
        assert_non_null(at);
        rules_fill(at, size, 9);
        rules_check(at, size, 9);
        free(at);
    }
}

void c17_7_22_3_5_realloc_of_null_acts_as_malloc(void **state)
{
    (void)state;
    for (size_t i = 0; i < rules_size_count; i++) {
        void *at = realloc(NULL, rules_sizes[i]);
        assert_non_null(at);
        rules_fill(at, rules_sizes[i], 1);
        rules_check(at, rules_sizes[i], 1);
        free(at);
    }
}

/* From one size to another, in place or moved. */
static void resize(void *(*give)(size_t size), size_t from, size_t to)
{
    void *at = give(from), *wall = give(from);
    rules_fill(at, from, 3);
    rules_fill(wall, from, 4);
    at = realloc(at, to);
    assert_non_null(at);
    rules_check(at, from < to ? from : to, 3);
    rules_fill(at, to, 5);
    rules_check(wall, from, 4);
    free(wall);
    rules_check(at, to, 5);
    free(at);
}

/* From each size to each other one. */
static void resize_all(bool growing)
{
    for (size_t i = 0; i < rules_size_count; i++)
        for (size_t k = 0; k < rules_size_count; k++)
            if (growing == (rules_sizes[k] > rules_sizes[i]))
                resize(malloc, rules_sizes[i], rules_sizes[k]);
}

void c17_7_22_3_5_realloc_growing_keeps_contents(void **state)
{
    (void)state;
    resize_all(true);
    /* Step by step, with something behind it now and then. */
    size_t size = 1;
    unsigned char *at = malloc(size);
    void *walls[64];
    size_t count = 0;
    rules_fill(at, size, 0);
    while (size < (size_t)8 << 20) {
        size_t more = size + size / 3 + 1;
        if (count < 64)
            walls[count++] = malloc(more);
        at = realloc(at, more);
        assert_non_null(at);
        rules_check(at, size, 0);
        rules_fill(at, more, 0);
        size = more;
    }
    free(at);
    while (count > 0)
        free(walls[--count]);
}

void c17_7_22_3_5_realloc_shrinking_keeps_contents(void **state)
{
    (void)state;
    resize_all(false);
    size_t size = (size_t)8 << 20;
    unsigned char *at = malloc(size);
    rules_fill(at, size, 0);
    while (size > 1) {
        size -= size / 3 + (size < 3);
        at = realloc(at, size);
        assert_non_null(at);
        rules_check(at, size, 0);
    }
    free(at);
}

void c17_7_22_3_5_realloc_takes_what_each_function_gave(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 100, 1024, 1025, 8192, 65536, 70000, 1000000};
    enum { SIZES = sizeof(sizes) / sizeof(*sizes) };
    for (size_t g = 0; g < RULES_GIVERS; g++)
        for (size_t i = 0; i < SIZES; i++)
            for (size_t k = 0; k < SIZES; k++)
                resize(rules_givers[g].give, sizes[i], sizes[k]);
}

void c17_7_22_3_5_realloc_failing_leaves_the_object(void **state)
{
    (void)state;
    static const size_t too_much[] = {SIZE_MAX, (size_t)1 << 60, (size_t)PTRDIFF_MAX + 1};
    for (size_t i = 0; i < rules_size_count; i++) {
        void *at = malloc(rules_sizes[i]);
        rules_fill(at, rules_sizes[i], 8);
        for (size_t k = 0; k < 3; k++)
            assert_null(realloc(at, rules_opaque(too_much[k])));
        rules_check(at, rules_sizes[i], 8);
        free(at);
    }
}

void c17_7_22_3_5_realloc_deallocates_the_old_object(void **state)
{
    (void)state;
    cpu_set_t everywhere = stay_here();
    size_t before = resident_bytes();
    for (int round = 0; round < 100; round++) {
        /* Both sizes are moved by a copy, or by the system. */
        void *at = memset(malloc((size_t)1 << 20), 1, (size_t)1 << 20);
        at = realloc(at, (size_t)3 << 20);
        memset(at, 2, (size_t)3 << 20);
        at = realloc(at, 100);
        free(at);
    }
    rules_check_resident(before);
    stay_on(&everywhere);
}

/* ---- C23 ---- */

static void *calloc_pairs(size_t size)
{
    return calloc(size / 2, 2);
}

void c23_7_24_3_4_free_sized_acts_as_free(void **state)
{
    (void)state;
    free_sized(NULL, 0);
    free_sized(NULL, 10);
    for (size_t i = 0; i < rules_size_count; i++) {
        free_sized(malloc(rules_sizes[i]), rules_sizes[i]);
        free_sized(calloc(rules_sizes[i], 2), rules_sizes[i] * 2);
        free_sized(realloc(malloc(10), rules_sizes[i]), rules_sizes[i]);
    }
    rules_check_frees(malloc, free_sized);
    rules_check_frees(calloc_pairs, free_sized);
}

static const size_t alignments[] = {64, 4096, 65536};
static size_t alignment_now;

static void *give_aligned(size_t size)
{
    return aligned_alloc(alignment_now, size);
}

static void free_aligned(void *at, size_t size)
{
    free_aligned_sized(at, alignment_now, size);
}

void c23_7_24_3_5_free_aligned_sized_acts_as_free(void **state)
{
    (void)state;
    free_aligned_sized(NULL, 64, 0);
    for (size_t alignment = 16; alignment <= 65536; alignment *= 4)
        for (size_t i = 0; i < rules_size_count; i++)
            free_aligned_sized(aligned_alloc(alignment, rules_sizes[i]), alignment, rules_sizes[i]);
    for (size_t i = 0; i < sizeof(alignments) / sizeof(*alignments); i++) {
        alignment_now = alignments[i];
        rules_check_frees(give_aligned, free_aligned);
    }
}
