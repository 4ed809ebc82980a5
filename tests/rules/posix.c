/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * posix.c - tests of what POSIX adds to C, a test for each rule; rules.def tells what
 * they say.
 */
#include "rules.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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

void posix_free_keeps_errno_for_what_each_function_gave(void **state)
{
    (void)state;
    for (size_t g = 0; g < RULES_GIVERS; g++)
        for (size_t s = 0; s < rules_size_count; s++) {
            void *objects[8];
            for (size_t i = 0; i < 8; i++)
                objects[i] = rules_givers[g].give(rules_sizes[s]);
            for (size_t i = 0; i < 8; i++) {
                errno = UNTOUCHED;
                free(objects[i]);
                if (errno != UNTOUCHED)
                    fail_msg("of %s, %zu bytes", rules_givers[g].name, rules_sizes[s]);
            }
        }
}

enum { HANDED_OVER = 20000 };
static void *handed_over[HANDED_OVER];

/* Returns the first object that errno did not survive. */
static void *free_all(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < HANDED_OVER; i++) {
        errno = UNTOUCHED;
        free(handed_over[i]);
        if (errno != UNTOUCHED)
            return &handed_over[i];
    }
    return NULL;
}

void posix_free_keeps_errno_in_another_thread(void **state)
{
    (void)state;
    for (size_t i = 0; i < HANDED_OVER; i++) {
        size_t size = rules_sizes[i % rules_size_count];
        handed_over[i] = rules_givers[i % RULES_GIVERS].give(size < 1000000 ? size : 0);
    }
    pthread_t other;
    void *changed;
    assert_int_equal(pthread_create(&other, NULL, free_all, NULL), 0);
    assert_int_equal(pthread_join(other, &changed), 0);
    assert_null(changed);
}

/* Where the system is made to refuse: all of these, and small ones between, which have guard
 * pages where any have. */
enum { REFUSED = 16 };
#define REFUSED_SIZE ((size_t)40 << 20) /* glibc maps each by itself */
static void *refused[REFUSED];

static void allocate_refused(void)
{
    for (size_t i = 0; i < REFUSED; i++) {
        refused[i] = malloc(i % 2 == 0 ? REFUSED_SIZE : 1000);
        assert_non_null(refused[i]);
        memset(refused[i], 1, 1000);
    }
}

/* Frees those in the midst first, since the outer ones may be cut off without another mapping.
 * Returns the first errno that free changed, to be told when the system refuses nothing. */
static int free_refused(void)
{
    int kept = UNTOUCHED;
    for (size_t i = 0; i < REFUSED; i++) {
        errno = UNTOUCHED;
        free(refused[(i + REFUSED / 2) % REFUSED]);
        if (kept == UNTOUCHED)
            kept = errno;
    }
    return kept;
}

/* As many mappings as the process may have: then nothing can be unmapped from the midst
 * of another one, and no part of one be protected. */
void posix_free_keeps_errno_where_the_system_refuses(void **state)
{
    (void)state;
    if (UNDER_TSAN)
        skip(); /* its runtime ends where the system refuses it to unmap */
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    allocate_refused();
    enum { MOST = 70000 }; /* Linux allows 65530 unless told otherwise */
    char *area =
        mmap(NULL, MOST * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(area != MAP_FAILED);
    bool refuses = false;
    for (size_t i = 0; i < MOST && !refuses; i += 2)
        refuses = mprotect(area + i * page, page, PROT_READ) != 0;
    int kept = free_refused();
    assert_int_equal(munmap(area, MOST * page), 0);
    assert_int_equal(kept, UNTOUCHED);
    if (!refuses) {
        print_message("more than %d mappings are allowed\n", MOST);
        skip();
    }
}

/* A page of each large object is locked: then the system takes no memory of it back. */
void posix_free_keeps_errno_where_memory_is_locked(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    allocate_refused();
    char *inside[REFUSED];
    bool refuses = true;
    for (size_t i = 0; i < REFUSED; i += 2) {
        uintptr_t middle = (uintptr_t)refused[i] + REFUSED_SIZE / 2;
        inside[i] = (char *)refused[i] + REFUSED_SIZE / 2 - middle % page;
        refuses &= mlock(inside[i], page) == 0 && madvise(inside[i], page, MADV_DONTNEED) != 0;
    }
    int kept = free_refused();
    for (size_t i = 0; i < REFUSED; i += 2)
        (void)munlock(inside[i], page); /* where it was not unmapped */
    assert_int_equal(kept, UNTOUCHED);
    if (!refuses) {
        print_message("the system lets us lock no memory\n");
        skip();
    }
}

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
