/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * linux.c - tests of what the manual pages promise beyond the standards, a test for each
 * rule; rules.def tells what they say.
 */
#include "rules.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- sizes ---- */

void linux_malloc_of_zero_is_unique(void **state)
{
    (void)state;
    void *objects[100];
    for (size_t i = 0; i < 100; i++) {
        objects[i] = malloc(0);
        assert_non_null(objects[i]);
        for (size_t k = 0; k < i; k++)
            assert_ptr_not_equal(objects[i], objects[k]);
    }
    for (size_t i = 0; i < 100; i++)
        free(objects[i]);
}

void linux_calloc_of_zero_is_unique(void **state)
{
    (void)state;
    void *a = calloc(0, 0), *b = calloc(0, 8), *c = calloc(8, 0),
         *d = calloc(0, rules_opaque(SIZE_MAX));
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    assert_non_null(d);
    assert_true(a != b && a != c && a != d && b != c && b != d && c != d);
    free(a);
    free(b);
    free(c);
    free(d);
}

static void all_refuse(size_t size)
{
    size = rules_opaque(size);
    for (int function = 0; function < 8; function++) {
        free(malloc(16)); /* which must not be what is given out */
        errno = 0;
        void *at = function == 0   ? malloc(size)
                   : function == 1 ? calloc(1, size)
                   : function == 2 ? realloc(NULL, size)
                   : function == 3 ? reallocarray(NULL, 1, size)
                   : function == 4 ? aligned_alloc(64, size)
                   : function == 5 ? memalign(4096, size)
                   : function == 6 ? valloc(size)
                                   : pvalloc(size);
        assert_null(at);
        assert_int_equal(errno, ENOMEM);
    }
    int at_first;
    void *at = &at_first;
    assert_int_equal(posix_memalign(&at, 64, size), ENOMEM);
    assert_ptr_equal(at, &at_first);
}

void linux_more_than_ptrdiff_max_is_an_error(void **state)
{
    (void)state;
    for (size_t more = 1; more <= 1 << 14; more++)
        all_refuse((size_t)PTRDIFF_MAX + more);
}

void linux_sizes_around_the_largest_fail(void **state)
{
    (void)state;
    for (size_t less = 0; less < 1 << 14; less++)
        all_refuse(SIZE_MAX - less);
    /* By the highest bits, with all others set and clear. */
    for (size_t bits = ((size_t)1 << 14) - 1; bits > 0; bits--) {
        all_refuse(bits << 50 | (((size_t)1 << 50) - 1));
        all_refuse(bits << 50);
    }
    all_refuse((size_t)0 - (size_t)sysconf(_SC_PAGESIZE));
    all_refuse((size_t)0 - 512 * 1024);
}

/* ---- realloc ---- */

static void resize_to_zero(void *at, size_t size)
{
    (void)size;
    assert_null(realloc(at, 0));
}

void linux_realloc_to_zero_frees(void **state)
{
    (void)state;
    for (size_t i = 0; i < rules_size_count; i++) {
        void *at = malloc(rules_sizes[i]);
        errno = UNTOUCHED;
        assert_null(realloc(at, 0));
        assert_int_equal(errno, UNTOUCHED);
    }
    assert_null(realloc(malloc(0), 0));
    rules_check_frees(malloc, resize_to_zero);
}

void linux_realloc_of_null_to_zero_is_malloc_of_zero(void **state)
{
    (void)state;
    void *a = realloc(NULL, 0), *b = realloc(NULL, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    free(a);
    free(b);
}

static void resize_to_no_elements(void *at, size_t size)
{
    assert_null(reallocarray(at, 0, size));
}

static void resize_to_empty_elements(void *at, size_t size)
{
    assert_null(reallocarray(at, size, 0));
}

void linux_reallocarray_to_zero_frees(void **state)
{
    (void)state;
    assert_null(reallocarray(malloc(100), 0, 8));
    assert_null(reallocarray(malloc(100000), 8, 0));
    void *at = reallocarray(NULL, 0, 8);
    assert_non_null(at);
    free(at);
    rules_check_frees(malloc, resize_to_no_elements);
    rules_check_frees(malloc, resize_to_empty_elements);
}

/* ---- alignment ---- */

void linux_memalign_aligns(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= (size_t)1 << 20; alignment *= 2)
        for (size_t i = 0; i < rules_size_count; i++) {
            void *at = memalign(alignment, rules_sizes[i]);
            rules_check_aligned(at, alignment);
            rules_fill(at, rules_sizes[i], 1);
            /* What is freed is found again, by its alignment. */
            size_t usable = malloc_usable_size(at);
            free(at);
            at = memalign(alignment, usable);
            rules_check_aligned(at, alignment);
            free(at);
        }
}

void linux_memalign_of_zero_is_an_object(void **state)
{
    (void)state;
    for (size_t alignment = 8; alignment <= 65536; alignment *= 2) {
        void *at = memalign(alignment, 0);
        rules_check_aligned(at, alignment);
        free(at);
    }
}

void linux_memalign_sets_einval(void **state)
{
    (void)state;
    errno = 0;
    assert_null(memalign(rules_opaque(SIZE_MAX), 4096));
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(memalign(rules_opaque(SIZE_MAX / 2 + 2), 1));
    assert_int_equal(errno, EINVAL);
    /* The largest power is one, but there is no such memory. */
    errno = 0;
    assert_null(memalign(rules_opaque(SIZE_MAX / 2 + 1), 1));
    assert_int_equal(errno, ENOMEM);
}

void linux_valloc_is_aligned_to_pages(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t size = 0; size < 100000; size = size * 5 / 4 + 1) {
        void *at = valloc(size);
        rules_check_aligned(at, page);
        rules_fill(at, size, 1);
        rules_check(at, size, 1);
        free(at);
    }
}

void linux_pvalloc_rounds_up_to_pages(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t size = 0; size < 100000; size = size * 5 / 4 + 1) {
        void *at = pvalloc(size), *next = pvalloc(size);
        size_t rounded = (size + page - 1) / page * page;
        rules_check_aligned(at, page);
        assert_true(malloc_usable_size(at) >= rounded);
        rules_fill(next, rounded, 2);
        rules_fill(at, rounded, 1);
        rules_check(next, rounded, 2);
        free(at);
        free(next);
    }
}

/* ---- usable size ---- */

void linux_malloc_usable_size_of_null_is_zero(void **state)
{
    (void)state;
    assert_int_equal(malloc_usable_size(NULL), 0);
}

void linux_malloc_usable_size_may_be_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < rules_size_count; i++) {
        void *at = malloc(rules_sizes[i]), *other = malloc(rules_sizes[i]);
        size_t usable = malloc_usable_size(at), others = malloc_usable_size(other);
        assert_true(usable >= rules_sizes[i] && others >= rules_sizes[i]);
        rules_check_apart(at, usable, other, others);
    }
}

void linux_realloc_keeps_what_was_asked_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < rules_size_count; i++) {
        void *at = malloc(rules_sizes[i]);
        size_t usable = malloc_usable_size(at);
        rules_fill(at, usable, 1);
        at = realloc(at, usable * 2);
        rules_check(at, rules_sizes[i], 1);
        free(at);
    }
}

#ifndef NH_TEST_DIRECT

/* ---- malloc_trim, mallopt, mallinfo ---- */

void linux_malloc_trim_tells_whether_memory_went_back(void **state)
{
    (void)state;
    enum { OBJECTS = 2000, SIZE = 10000 };
    static void *objects[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++)
        objects[i] = memset(malloc(SIZE), 1, SIZE);
    /* Some stay, so that not all goes back without being asked. */
    for (size_t i = 0; i < OBJECTS; i++)
        if (i % 100 != 0)
            free(objects[i]);
    assert_int_equal(malloc_trim(0), 1);
    int again = malloc_trim(0);
    assert_true(again == 0 || again == 1);
    for (size_t i = 0; i < OBJECTS; i += 100)
        free(objects[i]);
    int padded = malloc_trim((size_t)1 << 20);
    assert_true(padded == 0 || padded == 1);
}

void linux_mallopt_returns_1(void **state)
{
    (void)state;
    /* To what they are, or to what does no harm to the tests that follow. */
    static const int settings[][2] = {{M_MXFAST, 64 * sizeof(size_t) / 4},
                                      {M_TRIM_THRESHOLD, 128 * 1024},
                                      {M_TOP_PAD, 0},
                                      {M_MMAP_THRESHOLD, 128 * 1024},
                                      {M_MMAP_MAX, 65536},
                                      {M_CHECK_ACTION, 3},
                                      {M_PERTURB, 0},
                                      {M_ARENA_TEST, 8},
                                      {M_ARENA_MAX, 8}};
    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
        assert_int_equal(mallopt(settings[i][0], settings[i][1]), 1);
    free(malloc(1024));
}

void linux_mallinfo_counts_what_is_in_use(void **state)
{
    (void)state;
    enum { OBJECTS = 2000, SIZE = 1000, LARGE = 64 << 20 };
    static void *objects[OBJECTS];
    struct mallinfo2 before = mallinfo2();
    for (size_t i = 0; i < OBJECTS; i++)
        objects[i] = malloc(SIZE);
    struct mallinfo2 held = mallinfo2();
    /* Where some have guard pages, they are mapped by themselves. */
    assert_true(held.uordblks + held.hblkhd >= before.uordblks + before.hblkhd + OBJECTS * SIZE);
    assert_true(held.arena + held.hblkhd >= OBJECTS * SIZE);
    for (size_t i = 0; i < OBJECTS; i++)
        free(objects[i]);
    struct mallinfo2 after = mallinfo2();
    /* glibc's cache of a thread counts as in use. */
    assert_true(after.uordblks + after.hblkhd <=
                held.uordblks + held.hblkhd - OBJECTS * SIZE / 10 * 9);

    void *large = malloc(LARGE);
    struct mallinfo2 with = mallinfo2();
    assert_int_equal(with.hblks, after.hblks + 1);
    assert_true(with.hblkhd >= after.hblkhd + LARGE);
    free(large);
    assert_int_equal(mallinfo2().hblks, after.hblks);
}

void linux_mallinfo2_does_not_overflow(void **state)
{
    (void)state;
    size_t size = rules_opaque((size_t)2 << 30);
    void *at = malloc(size);
    if (at == NULL)
        skip(); /* a machine that has not so much */
    assert_true(mallinfo2().hblkhd >= size);
    free(at);
    assert_true(mallinfo2().hblkhd < size);
}

void linux_mallinfo_unused_field_is_zero(void **state)
{
    (void)state;
    free(malloc(20480));
    assert_int_equal(mallinfo2().usmblks, 0);
    assert_int_equal(mallinfo().usmblks, 0);
}

static void agree(int old, size_t now)
{
    if (now <= INT_MAX)
        assert_int_equal(old, (int)now);
}

void linux_mallinfo_and_mallinfo2_agree(void **state)
{
    (void)state;
    struct mallinfo2 now = mallinfo2();
    struct mallinfo old = mallinfo();
    assert_int_equal(sizeof(now.arena), sizeof(size_t));
    agree(old.arena, now.arena);
    agree(old.ordblks, now.ordblks);
    agree(old.hblks, now.hblks);
    agree(old.hblkhd, now.hblkhd);
    agree(old.uordblks, now.uordblks);
    agree(old.fordblks, now.fordblks);
}

/* ---- malloc_info, malloc_stats ---- */

/* Every element that begins also ends, in the right order. */
static bool is_well_formed(const char *text)
{
    char open[16][32];
    size_t depth = 0;
    for (const char *at = strchr(text, '<'); at != NULL; at = strchr(at + 1, '<')) {
        const char *end = strchr(at, '>');
        bool closes = at[1] == '/';
        char name[32];
        if (end == NULL || sscanf(at + 1 + closes, "%31[a-zA-Z0-9_-]", name) != 1)
            return false;
        if (end[-1] == '/')
            continue;
        if (closes && (depth == 0 || strcmp(open[--depth], name) != 0))
            return false;
        if (!closes && depth == sizeof(open) / sizeof(*open))
            return false;
        if (!closes)
            memcpy(open[depth++], name, sizeof(name));
    }
    return depth == 0;
}

void linux_malloc_info_is_xml(void **state)
{
    (void)state;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_int_equal(malloc_info(0, out), 0);
    fclose(out);
    assert_int_equal(strncmp(text, "<malloc version=", 16), 0);
    static const char end[] = "</malloc>\n";
    assert_string_equal(text + length - (sizeof(end) - 1), end);
    assert_true(is_well_formed(text));
    free(text);
}

void linux_malloc_info_fails_for_options(void **state)
{
    (void)state;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_int_equal(malloc_info(1, out), EINVAL);
    fclose(out);
    assert_int_equal(length, 0);
    free(text);
}

void linux_malloc_stats_writes_to_standard_error(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    malloc_stats();
    fflush(stderr);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    assert_true(lseek(fileno(file), 0, SEEK_END) > 0);
    fclose(file);
}

#endif
