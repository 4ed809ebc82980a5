/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * harden.c - what a hardened process (NEARHEAP_HARDEN=1) promises to a program that does
 * nothing wrong: sizes are what was asked for, old contents are gone, objects come in no
 * order and do not come back soon, and all functions know objects and where they are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "family.h"
#include "nearheap.h"
#include "readable.h"

#define OBJECTS 2000

static size_t sizes[] = {0,    1,    7,    8,    9,     24,    100,   104,   105,   1000,
                         1024, 1025, 4096, 5000, 20000, 65528, 65529, 65536, 65537, 1000000};
#define SIZES (sizeof(sizes) / sizeof(*sizes))

/* Large objects end with a page. */
static void check_usable(void *object, size_t size)
{
    struct nh_object at = {.struct_size = sizeof(at)};
    assert_int_equal(nh_lookup(object, &at), 0);
    if (at.size_class != 0)
        assert_int_equal(malloc_usable_size(object), size);
    else
        assert_true(malloc_usable_size(object) >= size);
}

static void sizes_are_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        unsigned char *p = malloc(sizes[i]);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        size_t usable = malloc_usable_size(p);
        if (sizes[i] + 8 <= 65536)
            assert_int_equal(usable, sizes[i]);
        assert_true(usable >= sizes[i]);
        struct nh_object at = {.struct_size = sizeof(at)};
        assert_int_equal(nh_lookup(p, &at), 0);
        assert_int_equal(at.what, NH_OBJECT);
        assert_ptr_equal(at.object, p);
        assert_true(at.size >= usable && at.size < at.span_size + 1);
        memset(p, 0x41, usable);
        p = realloc(p, sizes[i] + 1);
        assert_non_null(p);
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(p[j], 0x41);
        if (sizes[i] != 0) {
            p = realloc(p, sizes[i]); /* less, too */
            assert_non_null(p);
            check_usable(p, sizes[i]);
            assert_int_equal(p[sizes[i] - 1], 0x41);
        }
        p = realloc(p, 1);
        assert_non_null(p);
        free_sized(p, 1);
    }
}

static void alignments(void **state)
{
    (void)state;
    for (size_t alignment = 8; alignment <= (size_t)4 << 20; alignment *= 2)
        for (size_t i = 0; i < SIZES; i++) {
            void *p = NULL;
            assert_int_equal(posix_memalign(&p, alignment, sizes[i]), 0);
            assert_int_equal((uintptr_t)p % alignment, 0);
            check_usable(p, sizes[i]);
            memset(p, 0x42, sizes[i]);
            free(p);
        }
}

/* Whatever was there before, and however it was given back. */
static void contents_do_not_survive(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 20; round++)
        for (size_t i = 0; i < SIZES; i++) {
            unsigned char *p[8];
            for (unsigned j = 0; j < 8; j++) {
                p[j] = malloc(sizes[i]);
                assert_non_null(p[j]);
                for (size_t k = 0; k < sizes[i]; k++)
                    assert_int_equal(p[j][k], 0);
                memset(p[j], 0x43, sizes[i]);
            }
            p[0] = realloc(p[0], sizes[i] / 4 + 1);
            for (unsigned j = 0; j < 8; j++)
                free(p[j]);
        }
    unsigned char *pages = nh_pages_alloc(10, -1);
    memset(pages, 0x44, 10 * NH_PAGE_BYTES);
    nh_pages_free(pages);
    pages = malloc(10 * NH_PAGE_BYTES);
    for (size_t k = 0; k < 10 * NH_PAGE_BYTES; k++)
        assert_int_equal(pages[k], 0);
    free(pages);
}

static void order_is_random(void **state)
{
    (void)state;
    static char *object[OBJECTS];
    unsigned rising = 0;
    for (int i = 0; i < OBJECTS; i++) {
        object[i] = malloc(40);
        rising += i > 0 && object[i] == object[i - 1] + 48;
    }
    /* In order nearly all would; at random one in some hundreds does. */
    assert_true(rising < OBJECTS / 10);
    for (int i = 0; i < OBJECTS; i++)
        free(object[i]);
}

static void freed_objects_wait(void **state)
{
    (void)state;
    uintptr_t p = (uintptr_t)malloc(300);
    free((void *)p);
    unsigned char *q[100];
    for (int i = 0; i < 100; i++) {
        q[i] = malloc(300);
        assert_int_not_equal((uintptr_t)q[i], p);
    }
    for (int i = 0; i < 100; i++)
        free(q[i]);
}

/* What waits is neither live nor lost: it counts as cached, and no walk finds it. */

struct seen {
    const void *looked_for;
    unsigned times;
};

static int see(const struct nh_object *object, void *arg)
{
    struct seen *seen = arg;
    seen->times += object->object == seen->looked_for;
    return 0;
}

static void walks_and_counters_know(void **state)
{
    (void)state;
    char *held = malloc(500), *freed = malloc(500);
    (void)nh_scavenge(-1); /* a full quarantine would drive out others meanwhile */
    struct nh_stats before = {.struct_size = sizeof(before)};
    assert_int_equal(nh_stats_read(&before), 0);
    free(freed);
    struct nh_stats after = {.struct_size = sizeof(after)};
    assert_int_equal(nh_stats_read(&after), 0);
    assert_true(after.cached_bytes >= before.cached_bytes + 500);
    assert_true(after.live_bytes + 500 <= before.live_bytes);
    struct seen seen = {.looked_for = held};
    assert_int_equal(nh_walk_objects(see, &seen), 0);
    assert_int_equal(seen.times, 1);
    seen = (struct seen){.looked_for = freed};
    assert_int_equal(nh_walk_objects(see, &seen), 0);
    assert_int_equal(seen.times, 0);
    free(held);
}

static void nodes(void **state)
{
    (void)state;
    for (int node = 0; node < nh_node_count(); node++)
        for (size_t i = 0; i < SIZES; i++) {
            unsigned char *p = nh_calloc_on_node(1, sizes[i], node);
            assert_non_null(p);
            assert_int_equal(nh_node_of(p), node);
            check_usable(p, sizes[i]);
            for (size_t k = 0; k < sizes[i]; k++)
                assert_int_equal(p[k], 0);
            free(p);
        }
}

/* Guard pages are nobody's, and do not show in sizes. */
static void large_objects_have_guards(void **state)
{
    (void)state;
    char *p = malloc(200000);
    size_t usable = malloc_usable_size(p);
    struct nh_object at = {.struct_size = sizeof(at)};
    assert_int_equal(nh_lookup(p, &at), 0);
    assert_int_equal(at.size, usable);
    assert_int_equal(nh_lookup(p - 1, &at), 0);
    assert_int_equal(at.what, NH_NOTHING);
    assert_int_equal(nh_lookup(p + usable, &at), 0);
    assert_int_equal(at.what, NH_NOTHING);
    free(p);
}

/* Also where realloc moves to, which may be a place for huge pages. */
static void moved_objects_have_guards(void **state)
{
    (void)state;
    char *p = malloc((size_t)3 << 20);
    for (size_t size = (size_t)3 << 20; size < (size_t)40 << 20; size += (size_t)7 << 20) {
        p = realloc(p, size);
        assert_non_null(p);
        assert_true(readable(p) && readable(p + malloc_usable_size(p) - 1));
        assert_false(readable(p - 1));
        assert_false(readable(p + malloc_usable_size(p)));
        struct nh_object at = {.struct_size = sizeof(at)};
        assert_int_equal(nh_lookup(p - 1, &at), 0);
        assert_int_equal(at.what, NH_NOTHING);
    }
    free(p);
}

/* A child goes on with the same objects, and other random numbers. */
static void fork_goes_on(void **state)
{
    (void)state;
    char *p = malloc(100);
    memset(p, 0x45, 100);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    for (int i = 0; i < 200; i++) /* room for chance */
        free(malloc(16));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        void *objects[16];
        for (int i = 0; i < 16; i++)
            objects[i] = malloc(24);
        free(p);
        _exit(write(ends[1], objects, sizeof(objects)) != sizeof(objects));
    }
    void *theirs[16], *ours[16];
    for (int i = 0; i < 16; i++)
        ours[i] = malloc(24);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(read(ends[0], theirs, sizeof(theirs)), sizeof(theirs));
    assert_true(memcmp(theirs, ours, sizeof(ours)) != 0);
    free(p);
    for (int i = 0; i < 16; i++)
        free(ours[i]);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_exact),
        cmocka_unit_test(alignments),
        cmocka_unit_test(contents_do_not_survive),
        cmocka_unit_test(order_is_random),
        cmocka_unit_test(freed_objects_wait),
        cmocka_unit_test(walks_and_counters_know),
        cmocka_unit_test(nodes),
        cmocka_unit_test(large_objects_have_guards),
        cmocka_unit_test(moved_objects_have_guards),
        cmocka_unit_test(fork_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
