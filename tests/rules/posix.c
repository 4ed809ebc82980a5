/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * posix.c - tests of what POSIX adds to C, a test for each rule; rules.def tells what
 * they say.
 */
#include "rules.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <wchar.h>

static const size_t too_much[] = {SIZE_MAX,         SIZE_MAX - 15,          SIZE_MAX - 8191,
                                  (size_t)1 << 60,  SIZE_MAX / 3,           SIZE_MAX / 10,
                                  SIZE_MAX / 2 + 2, (size_t)PTRDIFF_MAX + 1};
#define TOO_MUCH_COUNT (sizeof(too_much) / sizeof(*too_much))

/* A small object comes and goes before each: its memory must not be given out instead. */
static void before_each(void)
{
    free(malloc(16));
    errno = 0;
}

/* ---- errors ---- */

void posix_malloc_sets_enomem(void **state)
{
    (void)state;
    for (size_t i = 0; i < TOO_MUCH_COUNT; i++) {
        before_each();
        assert_null(malloc(rules_opaque(too_much[i])));
        assert_int_equal(errno, ENOMEM);
    }
}

void posix_calloc_sets_enomem(void **state)
{
    (void)state;
    for (size_t i = 0; i < TOO_MUCH_COUNT; i++)
        for (size_t n = 1; n <= 8; n *= 2) {
            before_each();
            assert_null(calloc(n, rules_opaque(too_much[i] / n)));
            assert_int_equal(errno, ENOMEM);
            before_each();
            assert_null(calloc(rules_opaque(too_much[i] / n), n));
            assert_int_equal(errno, ENOMEM);
        }
}

void posix_realloc_sets_enomem(void **state)
{
    (void)state;
    for (size_t i = 0; i < TOO_MUCH_COUNT; i++) {
        before_each();
        assert_null(realloc(NULL, rules_opaque(too_much[i])));
        assert_int_equal(errno, ENOMEM);
        for (size_t k = 0; k < rules_size_count; k++) {
            void *at = malloc(rules_sizes[k]);
            before_each();
            assert_null(realloc(at, rules_opaque(too_much[i])));
            assert_int_equal(errno, ENOMEM);
            free(at);
        }
    }
}

void posix_aligned_alloc_sets_enomem(void **state)
{
    (void)state;
    for (size_t i = 0; i < TOO_MUCH_COUNT; i++)
        for (size_t alignment = 1; alignment <= (size_t)1 << 40; alignment *= 2) {
            before_each();
            assert_null(aligned_alloc(alignment, rules_opaque(too_much[i])));
            assert_int_equal(errno, ENOMEM);
        }
}

void posix_aligned_alloc_sets_einval(void **state)
{
    (void)state;
    static const size_t none[] = {0, 3, 24, 65, 4097, SIZE_MAX};
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
        before_each();
        assert_null(aligned_alloc(rules_opaque(none[i]), 64));
        assert_int_equal(errno, EINVAL);
    }
}

void posix_calloc_sets_enomem_where_the_product_overflows(void **state)
{
    (void)state;
    for (size_t n = 2; n != 0; n <<= 1) {
        before_each();
        assert_null(calloc(rules_opaque(SIZE_MAX / n + 1), n));
        assert_int_equal(errno, ENOMEM);
    }
}

/* ---- reallocarray ---- */

void posix_reallocarray_acts_as_realloc(void **state)
{
    (void)state;
    unsigned char *at = reallocarray(NULL, 10, 2);
    assert_non_null(at);
    rules_fill(at, 20, 1);
    at = reallocarray(at, 20, 2);
    rules_check(at, 20, 1);
    rules_fill(at, 40, 2);
    at = reallocarray(at, 5, 3);
    rules_check(at, 15, 2);
    for (size_t count = 5; count < 2000000; count = count * 3 + 1) {
        at = reallocarray(at, count, 3);
        assert_non_null(at);
        rules_check(at, 15, 2);
        rules_fill(at, count * 3, 2);
    }
    free(at);
}

void posix_reallocarray_sets_enomem_where_the_product_overflows(void **state)
{
    (void)state;
    size_t pairs[][2] = {{SIZE_MAX, 2},
                         {2, SIZE_MAX},
                         {65537, SIZE_MAX / 65537 + 1},
                         {SIZE_MAX / 65537 + 1, 65537},
                         {(size_t)1 << 33, (size_t)1 << 33}};
    void *at = malloc(100);
    rules_fill(at, 100, 3);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        before_each();
        assert_null(reallocarray(NULL, rules_opaque(pairs[i][0]), rules_opaque(pairs[i][1])));
        assert_int_equal(errno, ENOMEM);
        before_each();
        assert_null(reallocarray(at, rules_opaque(pairs[i][0]), rules_opaque(pairs[i][1])));
        assert_int_equal(errno, ENOMEM);
    }
    rules_check(at, 100, 3);
    free(at);
}

/* ---- free ---- */

void posix_free_keeps_errno(void **state)
{
    (void)state;
    enum { OBJECTS = 1000 };
    static void *objects[OBJECTS];
    errno = UNTOUCHED;
    free(NULL);
    assert_int_equal(errno, UNTOUCHED);
    for (size_t s = 0; s < rules_size_count; s++) {
        size_t count = rules_sizes[s] < 100000 ? OBJECTS : 10;
        for (size_t i = 0; i < count; i++)
            objects[i] = malloc(rules_sizes[s]);
        for (size_t i = 0; i < count; i++) {
            errno = UNTOUCHED;
            free(objects[i]);
            assert_int_equal(errno, UNTOUCHED);
        }
    }
}

/* As many mappings as the process may have: then nothing can be unmapped from the midst
 * of another one. */
void posix_free_keeps_errno_where_the_system_refuses(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* its runtime ends where the system refuses it to unmap */
#endif
    enum { OBJECTS = 8 };
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (size_t)16 << 20;
    void *objects[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++)
        objects[i] = memset(malloc(size), 1, size);
    enum { MOST = 70000 }; /* Linux allows 65530 unless told otherwise */
    char *area =
        mmap(NULL, MOST * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(area != MAP_FAILED);
    bool refused = false;
    for (size_t i = 0; i < MOST && !refused; i += 2)
        refused = mprotect(area + i * page, page, PROT_READ) != 0;
    for (size_t i = 0; i < OBJECTS; i++) {
        errno = UNTOUCHED;
        free(objects[i]);
        if (errno != UNTOUCHED)
            break; /* told when there are mappings again */
    }
    int kept = errno;
    assert_int_equal(munmap(area, MOST * page), 0);
    assert_int_equal(kept, UNTOUCHED);
    if (!refused)
        print_message("the system refused nothing: more than %d mappings are allowed\n", MOST);
}

#ifdef NH_TEST_DIRECT
/* The library uses another malloc than the test. */
void posix_free_takes_what_the_library_allocates(void **state)
{
    (void)state;
    skip();
}
#else
static int is_dot(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") == 0;
}

void posix_free_takes_what_the_library_allocates(void **state)
{
    (void)state;
    char *copy = strdup("a string"), *part = strndup("a string", 3);
    assert_string_equal(copy, "a string");
    assert_string_equal(part, "a s");
    copy = realloc(copy, 5000);
    assert_string_equal(copy, "a string");
    free(part);
    wchar_t *wide = wcsdup(L"wide");
    assert_true(wcscmp(wide, L"wide") == 0);
    free(wide);

    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    for (int i = 0; i < 3000; i++)
        assert_true(fprintf(out, "line %d\n", i) > 0);
    assert_int_equal(fclose(out), 0);
    FILE *in = fmemopen(text, length, "r");
    assert_non_null(in);
    char *line = NULL, *word = malloc(1); /* getdelim makes it larger */
    size_t room = 0, word_room = 1;
    assert_true(getline(&line, &room, in) > 0);
    assert_string_equal(line, "line 0\n");
    assert_true(getdelim(&word, &word_room, ' ', in) > 0);
    assert_string_equal(word, "line ");
    fclose(in);
    free(line);
    free(word);
    free(text);

    struct dirent **list;
    int entries = scandir("/", &list, is_dot, alphasort);
    assert_int_equal(entries, 1);
    free(list[0]);
    free(list);
    char *path = realpath("/", NULL);
    assert_string_equal(path, "/");
    free(path);
    free(copy);
}
#endif

/* ---- posix_memalign ---- */

void posix_memalign_aligns(void **state)
{
    (void)state;
    for (size_t alignment = sizeof(void *); alignment <= (size_t)1 << 30; alignment *= 2)
        for (size_t i = 0; i < rules_size_count; i++) {
            /* All of it, but for what would be a gigabyte and more altogether. */
            size_t size = alignment > (size_t)1 << 20 ? rules_sizes[0] : rules_sizes[i];
            void *at, *other;
            assert_int_equal(posix_memalign(&at, alignment, size), 0);
            assert_int_equal(posix_memalign(&other, alignment, size), 0);
            rules_check_aligned(at, alignment);
            rules_check_aligned(other, alignment);
            rules_check_apart(at, size, other, size);
        }
}

static void returns(int error, size_t alignment, size_t size)
{
    int at_first;
    void *at = &at_first;
    free(malloc(16));
    assert_int_equal(posix_memalign(&at, rules_opaque(alignment), rules_opaque(size)), error);
    assert_ptr_equal(at, &at_first);
}

void posix_memalign_returns_einval_for_no_power_of_two(void **state)
{
    (void)state;
    static const size_t none[] = {0, 24, 40, 0x300, 4104, SIZE_MAX, SIZE_MAX - 7};
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        returns(EINVAL, none[i], 10);
}

void posix_memalign_returns_einval_for_no_multiple_of_a_pointer(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment < sizeof(void *); alignment++)
        returns(EINVAL, alignment, 10);
    returns(EINVAL, 12, 10);
    returns(EINVAL, 100, 10);
}

void posix_memalign_returns_enomem(void **state)
{
    (void)state;
    for (size_t i = 0; i < TOO_MUCH_COUNT; i++)
        for (size_t alignment = sizeof(void *); alignment != 0; alignment <<= 1)
            returns(ENOMEM, alignment, too_much[i]);
    returns(ENOMEM, SIZE_MAX / 2 + 1, 1);
}

void posix_memalign_does_not_set_errno(void **state)
{
    (void)state;
    errno = UNTOUCHED;
    returns(ENOMEM, 64, SIZE_MAX / 2 + 2);
    assert_int_equal(errno, UNTOUCHED);
    returns(EINVAL, 24, 10);
    assert_int_equal(errno, UNTOUCHED);
}

void posix_memalign_of_zero_is_null_or_unique(void **state)
{
    (void)state;
    for (size_t alignment = sizeof(void *); alignment <= 65536; alignment *= 2) {
        void *at, *other;
        assert_int_equal(posix_memalign(&at, alignment, 0), 0);
        assert_int_equal(posix_memalign(&other, alignment, 0), 0);
        assert_true(at == NULL || (at != other && (uintptr_t)at % alignment == 0));
        free(at);
        free(other);
    }
}
