// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What jemalloc's integration tests that use standard names take from its test/.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "../../cases.h"
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_T_MAX       SIZE_MAX
#define LG_SIZEOF_PTR    (__SIZEOF_POINTER__ == 8 ? 3 : 2)
#define BUFERROR_BUF     64
#define TEST_MALLOC_SIZE malloc_usable_size

#define JEMALLOC_DIAGNOSTIC_PUSH
#define JEMALLOC_DIAGNOSTIC_POP
#define JEMALLOC_DIAGNOSTIC_IGNORE_ALLOC_SIZE_LARGER_THAN

#define set_errno(to) ((void)(errno = (to)))
#define get_errno()   errno

static inline int buferror(int error, char *text, size_t size)
{
    snprintf(text, size, "%s", strerror(error));
    return 0;
}

#define TEST_BEGIN(name)                                                                           \
    static void name(void)                                                                         \
    {                                                                                              \
        case_begin(#name);
#define TEST_END                                                                                   \
    case_end();                                                                                    \
    }

#define test_fail(...) case_fail(__VA_ARGS__)
#define expect_that(condition, ...)                                                                \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("line %d: %s: ", __LINE__, #condition);                                         \
            case_fail(__VA_ARGS__);                                                                \
        }                                                                                          \
    } while (0)
#define expect_d_eq(a, b, ...)      expect_that((a) == (b), __VA_ARGS__)
#define expect_d_ne(a, b, ...)      expect_that((a) != (b), __VA_ARGS__)
#define expect_true(a, ...)         expect_that(a, __VA_ARGS__)
#define expect_false(a, ...)        expect_that(!(a), __VA_ARGS__)
#define expect_ptr_null(a, ...)     expect_that((a) == NULL, __VA_ARGS__)
#define expect_ptr_not_null(a, ...) expect_that((a) != NULL, __VA_ARGS__)
#define assert(a)                   expect_that(a, "assertion")

// The tests ask for two things: that memory be given back, and for the largest size, for
// which they use what comes out of the last call.
static inline int mallctl(const char *name, void *old, size_t *old_size, void *fresh, size_t size)
{
    (void)old, (void)old_size, (void)fresh, (void)size;
    if (strstr(name, "purge"))
        malloc_trim(0);
    return 0;
}

static inline int mallctlnametomib(const char *name, size_t *path, size_t *length)
{
    (void)name, (void)path, (void)length;
    return 0;
}

static inline int mallctlbymib(const size_t *path, size_t length, void *old, size_t *old_size,
                               void *fresh, size_t size)
{
    size_t largest = PTRDIFF_MAX; // by C and the manual page, nothing larger can be had
    (void)path, (void)length, (void)old_size, (void)fresh, (void)size;
    memcpy(old, &largest, sizeof(largest));
    return 0;
}

static inline int test_all(void (*first)(void), ...)
{
    va_list others;
    va_start(others, first);
    for (void (*test)(void) = first; test; test = va_arg(others, void (*)(void)))
        test();
    va_end(others);
    return cases_end();
}
#define test(...) test_all(__VA_ARGS__, (void (*)(void))NULL)
