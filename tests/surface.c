/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * surface.c - what nearheap.h adds to the standards, which rules/ is about: its own
 * functions, and what malloc's family does beyond what is asked of it.
 */
#include "family.h"
#include "nearheap.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* An errno that nothing here sets. */
#define UNTOUCHED EXDEV
/* For what comes with time: many times what it takes. */
#define PATIENCE_S 60

static void is_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(p[i], 0);
}

static void a_grown_object_may_be_calloced_over(void **state)
{
    (void)state;
    /* realloc that moves pages leaves zero pages behind; calloc may get them. */
    for (int i = 0; i < 20; i++) {
        char *p = malloc((size_t)1 << 20);
        memset(p, 0xee, (size_t)1 << 20);
        void *wall = malloc((size_t)1 << 20);
        p = realloc(p, (size_t)3 << 20);
        memset(p, 0xdd, (size_t)3 << 20);
        unsigned char *z = calloc(1, (size_t)1 << 20);
        is_zero(z, (size_t)1 << 20);
        free(z);
        free(wall);
        free(p);
    }
}

/* The standards let what succeeds change errno. */
static void success_keeps_errno(void **state)
{
    (void)state;
    size_t sizes[] = {1, 1000, 60000, 300000, 5000000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        errno = UNTOUCHED;
        void *p = malloc(sizes[i]);
        free(p);
        p = calloc(1, sizes[i]);
        p = realloc(p, sizes[i] * 2);
        free(p);
        void *q;
        assert_int_equal(posix_memalign(&q, 4096, sizes[i]), 0);
        free(q);
        assert_int_equal(errno, UNTOUCHED);
    }
}

/* As glibc: an alignment that is no power of two is rounded up to one. */
static void memalign_rounds_alignments_up(void **state)
{
    (void)state;
    size_t volatile odd[] = {0, 1, 3, 17, 48, 100, 1000, 5000};
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
        size_t power = 1;
        while (power < odd[i])
            power *= 2;
        void *q = memalign(odd[i], 100);
        assert_non_null(q);
        assert_int_equal((uintptr_t)q % power, 0);
        free(q);
    }
}

static void natural_alignment_and_waste(void **state)
{
    (void)state;
    for (size_t size = 16; size <= 65536; size *= 2) {
        void *p[16];
        for (size_t i = 0; i < 16; i++) {
            p[i] = malloc(size);
            /* A check word takes the place of what is aligned so. */
            assert_int_equal((uintptr_t)p[i] % (hardened() ? 16 : size), 0);
        }
        for (size_t i = 0; i < 16; i++)
            free(p[i]);
    }
    for (size_t size = 129; size <= 65536; size++) {
        void *p = malloc(size);
        assert_true((malloc_usable_size(p) - size) * 8 <= malloc_usable_size(p));
        free(p);
    }
}

static void threads_fixed_to_nodes(void **state)
{
    (void)state;
    for (int node = 0; node < 64; node++) {
        if (nh_set_thread_node(node) != 0) {
            assert_int_equal(errno, EINVAL);
            continue;
        }
        assert_int_equal(nh_current_node(), node);
        size_t sizes[] = {1, 100, 5000, 70000, 3000000};
        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
            void *p = malloc(sizes[i]);
            assert_int_equal(nh_node_of(p), node);
            memset(p, 1, sizes[i]);
            free(p);
        }
    }
    assert_int_equal(nh_set_thread_node(-1), 0);
    assert_int_equal(nh_set_thread_node(-2), -1);
    assert_int_equal(errno, EINVAL);
}

static void pages_for_pools(void **state)
{
    (void)state;
    for (size_t n = 1; n < 3000; n = n * 3 + 1) {
        int node = nh_current_node();
        unsigned char *p = nh_pages_alloc(n, node);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % NH_PAGE_BYTES, 0);
        memset(p, 0xee, n * NH_PAGE_BYTES);
        assert_int_equal(nh_node_of(p + n * NH_PAGE_BYTES / 2), node);
        assert_true(malloc_usable_size(p) == n * NH_PAGE_BYTES);
        nh_pages_free(p);
    }
    nh_pages_free(nh_pages_alloc(3, -1));
    nh_pages_free(NULL);
    errno = 0;
    assert_null(nh_pages_alloc(0, -1));
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(nh_pages_alloc(1, -2));
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(nh_pages_alloc(SIZE_MAX / NH_PAGE_BYTES, -1));
    assert_int_equal(errno, ENOMEM);
}

static void interleaved_objects(void **state)
{
    (void)state;
    for (size_t size = 0; size < 40000000; size = size * 7 + 1) {
        unsigned char *p = nh_malloc_interleaved(size);
        assert_non_null(p);
        memset(p, 0xdd, size);
        errno = 0;
        assert_int_equal(nh_node_of(p), -1);
        assert_int_equal(errno, ENODATA);
        p = realloc(p, size + size / 2 + 70000);
        assert_non_null(p);
        assert_int_equal(nh_node_of(p), -1); /* stays what it is */
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0xdd);
        free(p);
    }
    struct nh_node_stats s = {.struct_size = sizeof(s)};
    assert_int_equal(nh_node_stats_read(-1, &s), 0);
    assert_int_equal(s.node, -1);
    assert_true(s.mapped_bytes > 10000000);
    errno = 0;
    assert_null(nh_malloc_interleaved(SIZE_MAX));
    assert_int_equal(errno, ENOMEM);
}

static void nodes(void **state)
{
    (void)state;
    int count = nh_node_count();
    assert_true(count >= 1);
    int found = 0;
    for (int node = 0; node < 1024; node++) {
        void *p = nh_malloc_on_node(100, node);
        if (p == NULL) {
            assert_int_equal(errno, EINVAL);
            continue;
        }
        found++;
        assert_int_equal(nh_node_of(p), node);
        assert_int_equal(nh_node_of((char *)p + 50), node);
        memset(p, 1, 100);
        free(p);
        size_t sizes[] = {0, 1, 5000, 70000, 3000000};
        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
            unsigned char *z = nh_calloc_on_node(sizes[i], 1, node);
            assert_non_null(z);
            is_zero(z, sizes[i]);
            assert_int_equal(nh_node_of(z), node);
            memset(z, 0xff, sizes[i]);
            free(z);
        }
        struct nh_node_stats s = {.struct_size = sizeof(s)};
        assert_int_equal(nh_node_stats_read(node, &s), 0);
        assert_int_equal(s.node, node);
    }
    assert_int_equal(found, count);
    errno = 0;
    assert_null(nh_malloc_on_node(10, -2));
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(nh_calloc_on_node(SIZE_MAX, 2, nh_current_node()));
    assert_int_equal(errno, ENOMEM);

    int on_stack;
    errno = 0;
    assert_int_equal(nh_node_of(&on_stack), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(nh_node_of(NULL), -1);
    assert_int_equal(nh_node_of((void *)~(uintptr_t)0), -1);
    assert_int_equal(nh_node_of((void *)(uintptr_t)0xdeadbeefdeadbeef), -1);
}

static void statistics(void **state)
{
    (void)state;
    struct nh_stats before = {.struct_size = sizeof(before)};
    struct nh_stats after = {.struct_size = sizeof(after)};
    assert_int_equal(nh_stats_read(&before), 0);
    assert_int_equal(before.struct_size, sizeof(before));
    void *p[100];
    for (size_t i = 0; i < 100; i++)
        p[i] = malloc(100000);
    assert_int_equal(nh_stats_read(&after), 0);
    assert_true(after.live_bytes >= before.live_bytes + 100 * 100000);
    assert_true(after.large_objects == before.large_objects + 100);
    assert_true(after.mapped_bytes == after.in_use_bytes + after.free_bytes);
    for (size_t i = 0; i < 100; i++)
        free(p[i]);
    assert_int_equal(nh_stats_read(&after), 0);
    assert_true(after.large_objects == before.large_objects);

    struct nh_stats sum = {.struct_size = sizeof(sum)};
    for (int node = 0; node < 1024; node++) {
        struct nh_node_stats s = {.struct_size = sizeof(s)};
        if (nh_node_stats_read(node, &s) != 0)
            continue;
        sum.nodes++;
#define ADD(name, unit, meaning) sum.name += s.name;
        NH_NODE_STATS(ADD)
#undef ADD
    }
    assert_int_equal(nh_stats_read(&after), 0);
    assert_memory_equal(&sum, &after, sizeof(sum));

    /* A program newer than the library is told what it got. */
    struct {
        struct nh_stats known;
        uint64_t unknown;
    } newer = {.known.struct_size = sizeof(newer), .unknown = 77};
    assert_int_equal(nh_stats_read(&newer.known), 0);
    assert_int_equal(newer.known.struct_size, sizeof(newer.known));
    assert_int_equal(newer.unknown, 77);

    struct nh_stats small = {.struct_size = offsetof(struct nh_stats, in_use_bytes)};
    small.in_use_bytes = 77;
    assert_int_equal(nh_stats_read(&small), 0);
    assert_true(small.mapped_bytes > 0);
    assert_int_equal(small.in_use_bytes, 77); /* not its to write */
    small.struct_size = 4;
    errno = 0;
    assert_int_equal(nh_stats_read(&small), -1);
    assert_int_equal(errno, EINVAL);
}

static uint64_t live_of(int node)
{
    struct nh_node_stats stats = {.struct_size = sizeof(stats)};
    assert_int_equal(nh_node_stats_read(node, &stats), 0);
    return stats.live_bytes;
}

/* Freed by a thread of another node an object is nobody's, wherever it waits: in the outbox, and
 * when a magazine was full and was sent, in the inbox. */
static void what_goes_home_is_not_live(void **state)
{
    enum { OBJECTS = 300, SIZE = 200 };
    void *objects[OBJECTS];
    (void)state;
    for (int node = 0; node < 64; node++) { /* numbers may be sparse */
        void *first = nh_malloc_on_node(SIZE, node);
        if (first == NULL)
            continue;
        free(first); /* it has a heap, and memory for magazines */
        uint64_t before = live_of(node);
        for (size_t i = 0; i < OBJECTS; i++)
            assert_non_null(objects[i] = nh_malloc_on_node(SIZE, node));
        assert_true(live_of(node) >= before + OBJECTS * SIZE);
        for (size_t i = 0; i < OBJECTS; i++)
            free(objects[i]);
        assert_int_equal(live_of(node), before);
    }
}

static uint64_t freed_for(int node)
{
    struct nh_node_stats stats = {.struct_size = sizeof(stats)};
    assert_int_equal(nh_node_stats_read(node, &stats), 0);
    return stats.remote_frees;
}

/* A batch that is not full is sent by whoever takes large memory when its time has come. */
static void few_go_home_in_time(void **state)
{
    (void)state;
    for (int node = 0; node < 64; node++) {
        void *object = nh_malloc_on_node(100, node);
        if (object == NULL)
            continue;
        nh_free(object);
        nh_malloc_trim(0);
        assert_int_equal(nh_set_thread_node(node), 0);
        for (int other = 0; other < 64; other++) {
            if (other == node || (object = nh_malloc_on_node(100, other)) == NULL)
                continue;
            uint64_t before = freed_for(other);
            nh_free(object);
            time_t end = time(NULL) + PATIENCE_S;
            while (freed_for(other) == before) {
                assert_true(time(NULL) < end);
                nh_free(nh_malloc(100000));
            }
            break;
        }
        break; /* one pair of them */
    }
    assert_int_equal(nh_set_thread_node(-1), 0);
}

static void memory_goes_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < 50; i++)
        free(memset(malloc(1 << 20), 1, 1 << 20));
    void *p[200];
    for (size_t i = 0; i < 200; i++)
        p[i] = memset(malloc(100000), 1, 100000);
    for (size_t i = 0; i < 200; i++)
        free(p[i]);
    struct nh_stats s = {.struct_size = sizeof(s)};
    assert_true(nh_scavenge(-1) > 0);
    assert_int_equal(nh_stats_read(&s), 0);
    /* A system page that is free in part only stays. */
    if (sysconf(_SC_PAGESIZE) <= NH_PAGE_BYTES)
        assert_int_equal(s.free_bytes, s.released_bytes);
    assert_int_equal(nh_scavenge(-1), 0);
    assert_int_equal(malloc_trim(0), 0);
    free(memset(malloc(1 << 20), 1, 1 << 20));
    assert_int_equal(malloc_trim(0), hardened() ? 0 : 1); /* has gone back by then */
    assert_string_equal(nh_version(), "0.1.0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grown_object_may_be_calloced_over),
        cmocka_unit_test(success_keeps_errno),
        cmocka_unit_test(memalign_rounds_alignments_up),
        cmocka_unit_test(natural_alignment_and_waste),
        cmocka_unit_test(nodes),
        cmocka_unit_test(threads_fixed_to_nodes),
        cmocka_unit_test(pages_for_pools),
        cmocka_unit_test(statistics),
        cmocka_unit_test(what_goes_home_is_not_live),
        cmocka_unit_test(few_go_home_in_time),
        cmocka_unit_test(interleaved_objects), /* whose heap the sums then count, too */
        cmocka_unit_test(memory_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
