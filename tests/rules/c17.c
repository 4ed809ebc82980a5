/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * c17.c - tests of the rules of C17 and C23, one each; rules.def tells what they say.
 */
#include "rules.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* ---- 7.22.3 ---- */

struct piece {
    unsigned char *at;
    size_t size;
};

static int by_address(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

void c17_7_22_3_objects_are_disjoint(void **state)
{
    (void)state;
    enum { EACH = 20 };
    static struct piece pieces[EACH * 64];
    size_t count = 0;
    for (size_t round = 0; round < EACH; round++)
        for (size_t i = 0; i < rules_size_count && rules_sizes[i] <= 1000000; i++) {
            pieces[count] = (struct piece){malloc(rules_sizes[i]), rules_sizes[i]};
            assert_non_null(pieces[count].at);
            count++;
        }
    qsort(pieces, count, sizeof(*pieces), by_address);
    for (size_t i = 1; i < count; i++)
        assert_true(pieces[i - 1].at + pieces[i - 1].size <= pieces[i].at);
    for (size_t i = 0; i < count; i++)
        free(pieces[i].at);
}

void c17_7_22_3_alignment_is_that_of_any_type_that_fits(void **state)
{
    (void)state;
    void *kept[16];
    for (size_t size = 1; size < 5000; size++) {
        size_t alignment = _Alignof(max_align_t);
        while (alignment > size)
            alignment /= 2;
        /* Several, since the first of a page is aligned by chance. */
        for (size_t i = 0; i < 16; i++) {
            kept[i] = i % 2 == 0 ? malloc(size) : calloc(size, 1);
            rules_check_aligned(kept[i], alignment);
        }
        for (size_t i = 0; i < 16; i++)
            free(kept[i]);
    }
}

void c17_7_22_3_pointer_is_to_the_lowest_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < rules_size_count; i++) {
        size_t size = rules_sizes[i];
        unsigned char *below = malloc(size), *at = malloc(size), *above = malloc(size);
        rules_fill(below, size, 1);
        rules_fill(above, size, 2);
        rules_fill(at, size, 3);
        rules_check(below, size, 1);
        rules_check(above, size, 2);
        rules_check(at, size, 3);
        free(below);
        free(at);
        free(above);
    }
}

void c17_7_22_3_contents_last_until_deallocation(void **state)
{
    (void)state;
    void *kept[64];
    for (size_t i = 0; i < rules_size_count; i++) {
        kept[i] = malloc(rules_sizes[i]);
        rules_fill(kept[i], rules_sizes[i], (unsigned)i);
    }
    for (unsigned round = 0; round < 1000; round++) {
        size_t size = rules_sizes[round % rules_size_count];
        void *other = malloc(size);
        memset(other, 0xee, size);
        free(other);
    }
    for (size_t i = 0; i < rules_size_count; i++) {
        rules_check(kept[i], rules_sizes[i], (unsigned)i);
        free(kept[i]);
    }
}

void c17_7_22_3_without_space_the_result_is_null(void **state)
{
    (void)state;
    /* More than there are addresses for. */
    size_t size = rules_opaque((size_t)1 << 60);
    assert_null(malloc(size));
    assert_null(calloc(size, 1));
    assert_null(realloc(NULL, size));
    assert_null(aligned_alloc(64, size));
}

void c17_7_22_3_size_zero_is_null_or_an_object(void **state)
{
    (void)state;
    void *results[] = {malloc(0), calloc(0, 0), realloc(NULL, 0), aligned_alloc(64, 0), malloc(0)};
    for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++)
        for (size_t j = 0; j < i; j++)
            assert_true(results[i] == NULL || results[i] != results[j]);
    for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++)
        free(results[i]);
}

enum { RACERS = 4, RACES = 20000 };

/* What a thread found wrong, since only the main thread may fail a test. */
static _Atomic unsigned wrong;

static void *allocate_alone(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    void *kept[32] = {NULL};
    size_t sizes[32] = {0};
    for (unsigned round = 0; round < RACES; round++) {
        size_t i = round % 32;
        if (kept[i] != NULL) {
            const unsigned char *bytes = kept[i];
            if (bytes[0] != (unsigned char)seed || bytes[sizes[i] - 1] != (unsigned char)seed)
                atomic_fetch_add(&wrong, 1);
        }
        sizes[i] = 1 + (round * 37 + seed * 101) % (round % 100 == 0 ? 100000 : 2000);
        if (round % 3 == 0) {
            kept[i] = realloc(kept[i], sizes[i]);
        } else {
            free(kept[i]);
            kept[i] = malloc(sizes[i]);
        }
        memset(kept[i], (int)seed, sizes[i]);
    }
    for (size_t i = 0; i < 32; i++)
        free(kept[i]);
    return NULL;
}

void c17_7_22_3_threads_do_not_race(void **state)
{
    (void)state;
    pthread_t threads[RACERS];
    wrong = 0;
    for (uintptr_t i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_alone, (void *)(i + 1)), 0);
    for (size_t i = 0; i < RACERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(wrong, 0);
}

/* Objects go from thread to thread by the allocator alone: what one freed, another gets.
 * All write the whole object, so that a writer that comes late is seen; the thread
 * sanitizer also sees what is not ordered. */
static void *pass_on(void *arg)
{
    unsigned char mine = (unsigned char)(uintptr_t)arg;
    for (unsigned round = 0; round < RACES / 20; round++) {
        unsigned char *batch[100];
        for (size_t i = 0; i < 100; i++) {
            batch[i] = malloc(200);
            memset(batch[i], mine, 200);
        }
        for (size_t i = 0; i < 100; i++) {
            for (size_t k = 0; k < 200; k++)
                if (batch[i][k] != mine)
                    atomic_fetch_add(&wrong, 1);
            free(batch[i]);
        }
    }
    return NULL;
}

void c17_7_22_3_deallocation_happens_before_the_next_allocation(void **state)
{
    (void)state;
    pthread_t threads[RACERS];
    wrong = 0;
    for (uintptr_t i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pass_on, (void *)(i + 1)), 0);
    for (size_t i = 0; i < RACERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(wrong, 0);
}

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
        void *aligned;
        assert_int_equal(posix_memalign(&aligned, 4096, size), 0);
        void *objects[] = {malloc(size),
                           calloc(1, size),
                           realloc(NULL, size),
                           realloc(malloc(size / 2 + 1), size),
                           aligned_alloc(256, size),
                           reallocarray(NULL, size, 1),
                           aligned,
                           memalign(64, size),
                           valloc(size),
                           pvalloc(size)};
        for (size_t k = 0; k < sizeof(objects) / sizeof(*objects); k++) {
            assert_non_null(objects[k]);
            rules_fill(objects[k], size, (unsigned)k);
        }
        for (size_t k = 0; k < sizeof(objects) / sizeof(*objects); k++) {
            rules_check(objects[k], size, (unsigned)k);
            free(objects[k]);
        }
    }
}

void c17_7_22_3_3_free_makes_the_memory_available(void **state)
{
    (void)state;
    enum { OBJECTS = 64, TIMES = 32 };
    static void *objects[OBJECTS];
    size_t sizes[] = {300, 20000, (size_t)256 << 10};
    size_t before = rules_peak(), most = 0;
    for (int round = 0; round < TIMES; round++)
        for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
            most = OBJECTS * sizes[s];
            for (size_t i = 0; i < OBJECTS; i++)
                objects[i] = memset(malloc(sizes[s]), round, sizes[s]);
            for (size_t i = 0; i < OBJECTS; i++)
                free(objects[i]);
        }
    /* All of it together would be many times as much. */
    assert_true(rules_peak() < before + 4 * most);
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

/* From each size to each other one, in place or moved. */
static void resize_all(bool growing)
{
    for (size_t i = 0; i < rules_size_count; i++)
        for (size_t k = 0; k < rules_size_count; k++) {
            size_t from = rules_sizes[i], to = rules_sizes[k];
            if (growing != (to > from))
                continue;
            void *at = malloc(from), *wall = malloc(from);
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
    size_t before = rules_peak();
    for (int round = 0; round < 100; round++) {
        /* Both sizes are moved by a copy, or by the system. */
        void *at = memset(malloc((size_t)1 << 20), 1, (size_t)1 << 20);
        at = realloc(at, (size_t)3 << 20);
        memset(at, 2, (size_t)3 << 20);
        at = realloc(at, 100);
        free(at);
    }
    assert_true(rules_peak() < before + ((size_t)64 << 20));
}

/* ---- C23 ---- */

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
}

void c23_7_24_3_5_free_aligned_sized_acts_as_free(void **state)
{
    (void)state;
    free_aligned_sized(NULL, 64, 0);
    for (size_t alignment = 16; alignment <= 65536; alignment *= 4)
        for (size_t i = 0; i < rules_size_count; i++)
            free_aligned_sized(aligned_alloc(alignment, rules_sizes[i]), alignment, rules_sizes[i]);
}
