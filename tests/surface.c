/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * surface.c - every entry point does what C, POSIX and glibc document; the
 * same program runs on glibc (NH_TEST_GLIBC), so that what is asserted here is
 * what glibc does, and on nearheap what nearheap.h adds.
 */
#include "family.h"

#ifndef NH_TEST_GLIBC
#include "nearheap.h"
#endif

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TOO_MUCH ((size_t)PTRDIFF_MAX + 1)

static size_t volatile opaque_too_much = TOO_MUCH;

/* An errno that nothing here sets. */
#define UNTOUCHED EXDEV

static void is_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(p[i], 0);
}

static void zero_sizes(void **state)
{
    (void)state;
    void *a = malloc(0), *b = malloc(0), *c = calloc(0, 8), *d = calloc(8, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    assert_non_null(d);
    assert_true(a != b && b != c && c != d);
    free(a);
    free(b);
    free(c);
    free(d);
    free(NULL);
    void *e = realloc(NULL, 0);
    assert_non_null(e);
    assert_null(realloc(e, 0)); /* frees */
    void *p = NULL;
    assert_int_equal(posix_memalign(&p, 64, 0), 0);
    free(p);
}

static void too_much(void **state)
{
    (void)state;
    size_t sizes[] = {opaque_too_much, SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 8191, SIZE_MAX / 2 + 2};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        errno = 0;
        assert_null(malloc(sizes[i]));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(calloc(1, sizes[i]));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        void *p = malloc(100);
        memset(p, 7, 100);
        assert_null(realloc(p, sizes[i]));
        assert_int_equal(errno, ENOMEM);
        for (size_t k = 0; k < 100; k++)
            assert_int_equal(((char *)p)[k], 7); /* still there */
        free(p);
        errno = 0;
        assert_null(memalign(64, sizes[i]));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(aligned_alloc(65536, sizes[i]));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(valloc(sizes[i]));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(pvalloc(sizes[i]));
        assert_int_equal(errno, ENOMEM);
        void *q = (void *)1;
        assert_int_equal(posix_memalign(&q, 64, sizes[i]), ENOMEM);
        assert_ptr_equal(q, (void *)1);
    }
}

static void products_overflow(void **state)
{
    (void)state;
    size_t volatile half = (SIZE_MAX >> 1) + 1;
    errno = 0;
    assert_null(calloc(half, 2));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    size_t volatile root = (size_t)1 << 33;
    assert_null(calloc(root, root));
    assert_int_equal(errno, ENOMEM);
    void *p = malloc(10);
    errno = 0;
    void *q = reallocarray(p, half, 2);
    assert_null(q);
    assert_int_equal(errno, ENOMEM);
    p = reallocarray(p, 100, 10); /* p was kept */
    assert_non_null(p);
    assert_true(malloc_usable_size(p) >= 1000);
    free(p);
}

static void errno_is_kept(void **state)
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
#ifndef NH_TEST_GLIBC /* which sets it */
    void *q = (void *)1;
    assert_int_equal(posix_memalign(&q, 64, opaque_too_much), ENOMEM);
    assert_int_equal(errno, UNTOUCHED); /* POSIX: returned, not set */
#endif
}

static void bad_alignments(void **state)
{
    (void)state;
    void *p = (void *)1;
    size_t bad[] = {0, 1, 2, 4, 3, 12, 24, 100, SIZE_MAX};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_int_equal(posix_memalign(&p, bad[i], 10), EINVAL);
        assert_ptr_equal(p, (void *)1);
    }
    /* glibc's memalign rounds an alignment up to a power of two. */
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
    errno = 0;
    size_t volatile no_power = SIZE_MAX / 2 + 2;
    assert_null(memalign(no_power, 1));
    assert_int_equal(errno, EINVAL);
    /* The largest power is an alignment; only there is no such memory. */
    errno = 0;
    assert_null(memalign(no_power - 1, 1));
    assert_int_equal(errno, ENOMEM);
}

static void alignments(void **state)
{
    (void)state;
    for (size_t alignment = sizeof(void *); alignment <= (size_t)1 << 30; alignment *= 2)
        for (size_t size = 1; size <= 200000; size = size * 3 + 1) {
            void *p;
            assert_int_equal(posix_memalign(&p, alignment, size), 0);
            assert_int_equal((uintptr_t)p % alignment, 0);
            memset(p, 0x5a, size);
            assert_true(malloc_usable_size(p) >= size);
            void *q = aligned_alloc(alignment, size);
            assert_int_equal((uintptr_t)q % alignment, 0);
            memset(q, 0xa5, size);
            assert_int_equal(*(unsigned char *)p, 0x5a);
            free(p);
            free(q);
        }
    void *p = valloc(10);
    assert_int_equal((uintptr_t)p % (size_t)sysconf(_SC_PAGESIZE), 0);
    free(p);
    p = pvalloc(1);
    assert_int_equal((uintptr_t)p % (size_t)sysconf(_SC_PAGESIZE), 0);
    assert_true(malloc_usable_size(p) >= (size_t)sysconf(_SC_PAGESIZE));
    free(p);
}

static void every_object_is_aligned(void **state)
{
    (void)state;
    for (size_t size = 1; size < 100000; size += 1 + size / 50) {
        void *p = malloc(size);
        assert_int_equal((uintptr_t)p % (size >= 16 ? 16 : 8), 0);
        free(p);
    }
}

static void usable_size_is_usable(void **state)
{
    (void)state;
    assert_int_equal(malloc_usable_size(NULL), 0);
    for (size_t size = 1; size < 3000000; size = size * 5 / 4 + 1) {
        char *p = malloc(size), *q = malloc(size);
        size_t n = malloc_usable_size(p), m = malloc_usable_size(q);
        assert_true(n >= size && m >= size);
        memset(p, 1, n);
        memset(q, 2, m);
        for (size_t i = 0; i < n; i += 1 + n / 1000)
            assert_int_equal(p[i], 1);
        assert_int_equal(p[n - 1], 1);
        free(p);
        free(q);
    }
}

static void calloc_is_zero_after_use(void **state)
{
    (void)state;
    size_t sizes[] = {1, 16, 100, 1000, 5000, 70000, 300000, 3000000};
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
            void *dirty[8];
            for (size_t k = 0; k < 8; k++) {
                dirty[k] = malloc(sizes[i]);
                memset(dirty[k], 0xff, sizes[i]);
            }
            for (size_t k = 0; k < 8; k++)
                free(dirty[k]);
            for (size_t k = 0; k < 8; k++) {
                dirty[k] = calloc(sizes[i], 1);
                is_zero(dirty[k], sizes[i]);
                memset(dirty[k], 0xff, sizes[i]);
            }
            for (size_t k = 0; k < 8; k++)
                free(dirty[k]);
            if (round == 1)
                malloc_trim(0);
        }
}

/* Contents survive realloc on every way up and down, in place or moved. */
static void realloc_keeps_contents(void **state)
{
    (void)state;
    for (int with_neighbour = 0; with_neighbour < 2; with_neighbour++) {
        size_t size = 1;
        unsigned char *p = malloc(size);
        void *wall[64] = {NULL};
        size_t walls = 0;
        p[0] = 0;
        while (size < (size_t)8 << 20) {
            size_t more = size + size / 3 + 1;
            if (with_neighbour && walls < 64)
                wall[walls++] = malloc(more); /* often right behind */
            p = realloc(p, more);
            assert_non_null(p);
            for (size_t i = 0; i < size; i += 1 + size / 5000)
                assert_int_equal(p[i], (unsigned char)(i * 7));
            for (size_t i = size; i < more; i++)
                p[i] = (unsigned char)(i * 7);
            p[0] = 0;
            for (size_t i = 0; i < size; i++)
                p[i] = (unsigned char)(i * 7);
            size = more;
        }
        while (size > 1) {
            size -= size / 3 + 1;
            if (size == 0)
                break;
            p = realloc(p, size);
            assert_non_null(p);
            for (size_t i = 0; i < size; i += 1 + size / 5000)
                assert_int_equal(p[i], (unsigned char)(i * 7));
        }
        free(p);
        while (walls > 0)
            free(wall[--walls]);
    }
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

static void libc_objects_are_ours(void **state)
{
    (void)state;
#ifndef NH_TEST_DIRECT
    char *copy = strdup("a string");
    char *text = NULL;
    assert_true(asprintf(&text, "%d %s", 42, copy) > 0);
    assert_string_equal(text, "42 a string");
    free(text);
    free(copy);
    char *line = NULL;
    size_t room = 0;
    FILE *f = fopen("/proc/self/status", "r");
    assert_non_null(f);
    assert_true(getline(&line, &room, f) > 0);
    free(line);
    fclose(f);
#endif
}

#ifndef NH_TEST_DIRECT

static void counted(void **state)
{
    (void)state;
    enum { OBJECTS = 2000, SIZE = 1000, LARGE = 64 << 20 };
    static void *objects[OBJECTS];
    struct mallinfo2 before = mallinfo2();
    for (size_t i = 0; i < OBJECTS; i++)
        objects[i] = malloc(SIZE);
    struct mallinfo2 held = mallinfo2();
    assert_true(held.uordblks >= before.uordblks + OBJECTS * SIZE);
    assert_true(held.arena >= OBJECTS * SIZE);
    for (size_t i = 0; i < OBJECTS; i++)
        free(objects[i]);
    struct mallinfo2 after = mallinfo2();
    /* glibc's cache of a thread counts as in use. */
    assert_true(after.uordblks <= held.uordblks - OBJECTS * SIZE / 10 * 9);

    void *large = malloc(LARGE);
    struct mallinfo2 with = mallinfo2();
    assert_true(with.hblks == after.hblks + 1);
    assert_true(with.hblkhd >= after.hblkhd + LARGE);
    struct mallinfo old = mallinfo();
    assert_int_equal(old.hblkhd, (int)with.hblkhd);
    free(large);
    assert_true(mallinfo2().hblks == after.hblks);
}

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

static void reports(void **state)
{
    (void)state;
    assert_int_equal(mallopt(M_MMAP_THRESHOLD, 1 << 20), 1);
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_int_equal(malloc_info(1, out), EINVAL);
    fflush(out);
    assert_int_equal(length, 0);
    assert_int_equal(malloc_info(0, out), 0);
    fclose(out);
    assert_int_equal(strncmp(text, "<malloc version=", 16), 0);
    static const char end[] = "</malloc>\n";
    assert_string_equal(text + length - (sizeof(end) - 1), end);
    assert_true(is_well_formed(text));
    free(text);

    /* malloc_stats writes to standard error. */
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

#ifndef NH_TEST_GLIBC

static void sized_frees(void **state)
{
    (void)state;
    for (size_t size = 1; size < 500000; size = size * 3 / 2 + 1) {
        free_sized(malloc(size), size);
        free_aligned_sized(aligned_alloc(64, size), 64, size);
    }
    free_sized(NULL, 10);
    free_aligned_sized(NULL, 64, 10);
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

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_sizes),
        cmocka_unit_test(too_much),
        cmocka_unit_test(products_overflow),
        cmocka_unit_test(errno_is_kept),
        cmocka_unit_test(bad_alignments),
        cmocka_unit_test(alignments),
        cmocka_unit_test(every_object_is_aligned),
        cmocka_unit_test(usable_size_is_usable),
        cmocka_unit_test(calloc_is_zero_after_use),
        cmocka_unit_test(realloc_keeps_contents),
        cmocka_unit_test(a_grown_object_may_be_calloced_over),
        cmocka_unit_test(libc_objects_are_ours),
#ifndef NH_TEST_DIRECT
        cmocka_unit_test(counted),
        cmocka_unit_test(reports),
#endif
#ifndef NH_TEST_GLIBC
        cmocka_unit_test(sized_frees),
        cmocka_unit_test(natural_alignment_and_waste),
        cmocka_unit_test(nodes),
        cmocka_unit_test(threads_fixed_to_nodes),
        cmocka_unit_test(pages_for_pools),
        cmocka_unit_test(statistics),
        cmocka_unit_test(interleaved_objects), /* whose heap the sums then count, too */
        cmocka_unit_test(memory_goes_back),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
