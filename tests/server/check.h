/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * check.h - what the programs of this folder share: a check that ends the
 * process (a forked child's too) with status 1, contents that follow from
 * place and size, and small random numbers.
 */
#ifndef NH_TEST_SERVER_CHECK_H
#define NH_TEST_SERVER_CHECK_H

#include "../../bench/random.h"
#include "../family.h"
#include "../sanitizers.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SKIPPED 77 /* ctest's status for "cannot be tested here" */

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

__attribute__((unused)) static _Noreturn void check_failed(const char *file, int line,
                                                           const char *what)
{
    fprintf(stderr, "%s:%d: process %ld: not (%s)\n", file, line, (long)getpid(), what);
    _exit(1); /* not exit: other threads may hold what its handlers want */
}

__attribute__((unused)) static void fill(void *at, size_t size)
{
    unsigned char *bytes = at;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(((uintptr_t)at >> 4) + size + i);
}

/* The first `length` bytes are those that fill(was, size) wrote. */
__attribute__((unused)) static void verify_part(const void *at, uintptr_t was, size_t size,
                                                size_t length)
{
    const unsigned char *bytes = at;
    for (size_t i = 0; i < length; i++)
        CHECK(bytes[i] == (unsigned char)((was >> 4) + size + i));
}

__attribute__((unused)) static void verify(const void *at, size_t size)
{
    verify_part(at, (uintptr_t)at, size, size);
}

/* An allocated and filled object. */
__attribute__((unused)) static void *filled(size_t size)
{
    void *at = malloc(size);
    CHECK(at != NULL);
    fill(at, size);
    return at;
}

__attribute__((unused)) static void verify_free(void *at, size_t size)
{
    verify(at, size);
    free(at);
}

#endif
