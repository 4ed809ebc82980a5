/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * main.c - runs the test of every rule (rules.def), on whichever malloc it finds: the
 * same program is linked with nearheap, runs with it preloaded, and on glibc.
 *
 * usage: rules [--table]
 *   --table   prints the rules instead
 */
#include "rules.h"

#include "../stay.h"

#include <stdio.h>
#include <string.h>

#ifdef NH_TEST_GLIBC
extern const char *nh_version(void) __attribute__((weak));

/* Preloaded. */
static bool is_glibc(void)
{
    return nh_version == NULL;
}
#else
static bool is_glibc(void)
{
    return false;
}
#endif

struct rule {
    struct CMUnitTest test;
    const char *says;
    const char *how_not; /* glibc differs, or NULL */
};

static const struct rule rules[] = {
#define RULE(name, says)             {cmocka_unit_test(name), says, NULL},
#define DIFFERS(name, says, how_not) {cmocka_unit_test(name), says, how_not},
#include "rules.def"
#undef RULE
#undef DIFFERS
};
#define RULES (sizeof(rules) / sizeof(*rules))

const size_t rules_sizes[] = {1,    2,     7,     8,     9,     15,    16,     17,      24,
                              100,  144,   729,   1024,  1025,  4095,  4096,   8192,    8193,
                              5781, 23450, 65535, 65536, 65537, 70000, 525312, 1000000, 5318153};
const size_t rules_size_count = sizeof(rules_sizes) / sizeof(*rules_sizes);

size_t rules_opaque(size_t size)
{
    size_t volatile opaque = size;
    return opaque;
}

void rules_fill(void *at, size_t size, unsigned seed)
{
    unsigned char *bytes = at;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(seed + i * 7);
}

/* The first byte that is another one, or `size`. */
static size_t first_changed(const void *at, size_t size, unsigned seed)
{
    const unsigned char *bytes = at;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != (unsigned char)(seed + i * 7))
            return i;
    return size;
}

bool rules_is_filled(const void *at, size_t size, unsigned seed)
{
    return first_changed(at, size, seed) == size;
}

void rules_check(const void *at, size_t size, unsigned seed)
{
    size_t i = first_changed(at, size, seed);
    if (i != size)
        fail_msg("byte %zu of %zu is %u", i, size, ((const unsigned char *)at)[i]);
}

void rules_check_apart(void *at, size_t size, void *other, size_t other_size)
{
    rules_fill(at, size, 1);
    rules_fill(other, other_size, 2);
    rules_check(at, size, 1);
    free(at);
    rules_check(other, other_size, 2);
    free(other);
}

void rules_check_zero(const void *at, size_t size)
{
    const unsigned char *bytes = at;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            fail_msg("byte %zu of %zu is %u", i, size, bytes[i]);
}

void rules_check_aligned(const void *at, size_t alignment)
{
    assert_non_null(at);
    assert_int_equal((uintptr_t)at % alignment, 0);
}

void rules_check_resident(size_t before)
{
    if (UNDER_TSAN)
        return; /* the sanitizer's own memory of addresses that come and go stays */
    size_t now = resident_bytes();
    if (now > before + RESIDENT_KEPT)
        fail_msg("%zu bytes are resident, which were %zu before", now, before);
}

void rules_check_frees(void *(*give)(size_t size), void (*free_it)(void *at, size_t size))
{
    cpu_set_t everywhere = stay_here();
    for (size_t i = 0; i < sizeof(resident_sizes) / sizeof(*resident_sizes); i++) {
        size_t size = resident_sizes[i], before = resident_bytes();
        for (size_t written = 0; written < RESIDENT_MUCH; written += size) {
            void *at = give(size);
            assert_non_null(at);
            free_it(memset(at, 1, size), size);
        }
        rules_check_resident(before);
    }
    stay_on(&everywhere);
}

/* ---- who gives objects ---- */

static void *by_calloc(size_t size)
{
    return calloc(1, size);
}

static void *by_realloc(size_t size)
{
    return realloc(NULL, size);
}

static void *by_growing(size_t size)
{
    return realloc(malloc(size / 2 + 1), size);
}

static void *by_reallocarray(size_t size)
{
    return reallocarray(NULL, size, 1);
}

static void *by_aligned_alloc(size_t size)
{
    return aligned_alloc(256, size);
}

static void *by_posix_memalign(size_t size)
{
    void *at;
    return posix_memalign(&at, 4096, size) == 0 ? at : NULL;
}

static void *by_memalign(size_t size)
{
    return memalign(64, size);
}

const struct rules_giver rules_givers[RULES_GIVERS] = {
    {"malloc", malloc},
    {"calloc", by_calloc},
    {"realloc", by_realloc},
    {"realloc, growing", by_growing},
    {"reallocarray", by_reallocarray},
    {"aligned_alloc", by_aligned_alloc},
    {"posix_memalign", by_posix_memalign},
    {"memalign", by_memalign},
    {"valloc", valloc},
    {"pvalloc", pvalloc},
};

/* ---- all rules ---- */

static void print_table(void)
{
    for (size_t i = 0; i < RULES; i++) {
        printf("%s\n    %s\n", rules[i].test.name, rules[i].says);
        if (rules[i].how_not != NULL)
            printf("    glibc 2.36 %s\n", rules[i].how_not);
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--table") == 0) {
        print_table();
        return 0;
    }
    static struct CMUnitTest tests[RULES];
    size_t count = 0;
    for (size_t i = 0; i < RULES; i++) {
        if (is_glibc() && rules[i].how_not != NULL)
            printf("not asked of glibc: %s: it %s\n", rules[i].test.name, rules[i].how_not);
        else
            tests[count++] = rules[i].test;
    }
    fflush(stdout);
    /* Not the macro, which knows arrays only. */
    return _cmocka_run_group_tests("rules", tests, count, NULL, NULL);
}
