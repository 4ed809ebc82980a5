/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * planted.c - a program with planted mistakes, for planted_test.py under memcheck.
 *
 * usage: planted MISTAKE | all | clean
 *
 * Makes the mistake, or all of them for "all", with an object of each way to get one; each
 * way has a size of its own, by which the messages tell them apart.  "clean" uses all
 * functions as one should.  Built without optimization: the functions are the call sites
 * that the messages must name.
 */
#include "../family.h"

#ifndef NH_TEST_GLIBC
#include "nearheap.h"
#endif

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* ---- The ways to get an object, and to give it back ---- */

static char *take_malloc(size_t size)
{
    return malloc(size);
}

static char *take_calloc(size_t size)
{
    return calloc(1, size);
}

static char *take_realloc(size_t size)
{
    return realloc(malloc(size / 2), size);
}

static char *take_reallocarray(size_t size)
{
    return reallocarray(NULL, size, 1);
}

static char *take_aligned(size_t size)
{
    void *object = NULL;
    return posix_memalign(&object, 256, size) == 0 ? object : NULL;
}

static char *take_large(size_t size)
{
    return malloc(size);
}

#ifndef NH_TEST_GLIBC
static char *take_nh_malloc(size_t size)
{
    return nh_malloc(size);
}

static char *take_on_node(size_t size)
{
    return nh_malloc_on_node(size, nh_current_node());
}

static char *take_calloc_on_node(size_t size)
{
    return nh_calloc_on_node(1, size, nh_current_node());
}

static char *take_interleaved(size_t size)
{
    return nh_malloc_interleaved(size);
}

static char *take_pages(size_t size)
{
    return nh_pages_alloc(size / NH_PAGE_BYTES, -1);
}

static void give_back_sized(void *object)
{
    nh_free_sized(object, malloc_usable_size(object));
}
#endif

struct way {
    char *(*take)(size_t size);
    void (*give_back)(void *object);
    size_t size;
    /* Makes a mistake with the way: two errors whose first stack is the same are one to
     * memcheck. */
    void (*make)(void (*mistake)(const struct way *way), const struct way *way);
};

#define MAKER(name)                                                                                \
    static void name(void (*mistake)(const struct way *way), const struct way *way)                \
    {                                                                                              \
        mistake(way);                                                                              \
    }

MAKER(with_malloc)
MAKER(with_calloc)
MAKER(with_realloc)
MAKER(with_reallocarray)
MAKER(with_aligned)
MAKER(with_large)
#ifndef NH_TEST_GLIBC
MAKER(with_nh_malloc)
MAKER(with_on_node)
MAKER(with_calloc_on_node)
MAKER(with_interleaved)
MAKER(with_pages)
#endif

static const struct way ways[] = {
    {take_malloc, free, 1001, with_malloc},
    {take_calloc, free, 1002, with_calloc},
    {take_realloc, free, 1003, with_realloc},
    {take_reallocarray, free, 1004, with_reallocarray},
    {take_aligned, free, 1005, with_aligned},
    {take_large, free, 200006, with_large},
#ifndef NH_TEST_GLIBC
    {take_nh_malloc, give_back_sized, 1007, with_nh_malloc},
    {take_on_node, free, 1008, with_on_node},
    {take_calloc_on_node, free, 1009, with_calloc_on_node},
    {take_interleaved, free, 200010, with_interleaved},
    {take_pages, nh_pages_free, 2 * NH_PAGE_BYTES, with_pages},
#endif
};

/* ---- Mistakes ---- */

static volatile char sink;

static void overrun(const struct way *way)
{
    char *object = way->take(way->size);
    object[way->size] = 1;
    way->give_back(object);
}

static void underrun(const struct way *way)
{
    char *object = way->take(way->size);
    sink = object[-1];
    way->give_back(object);
}

static void use_after_free(const struct way *way)
{
    char *object = way->take(way->size);
    way->give_back(object);
    sink = object[way->size / 2];
}

static void uninitialised(const struct way *way)
{
    char *object = way->take(way->size);
    if (object[way->size - 1] != 0)
        sink = 1;
    way->give_back(object);
}

static void free_twice(const struct way *way)
{
    char *object = way->take(way->size);
    way->give_back(object);
    way->give_back(object);
}

static void leak(const struct way *way)
{
    char *object = way->take(way->size);
    memset(object, 0, way->size);
}

/* Of a list whose beginning is lost all is. */
struct link {
    struct link *next;
    char rest[112];
};

static void leak_list(void)
{
    struct link *first = NULL;
    for (int i = 0; i < 3; i++) {
        struct link *link = malloc(sizeof(*link));
        link->next = first;
        first = link;
    }
}

static const struct {
    const char *name;
    void (*make)(const struct way *way);
} mistakes[] = {
    {"overrun", overrun},
    {"underrun", underrun},
    {"use_after_free", use_after_free},
    {"uninitialised", uninitialised},
    {"free_twice", free_twice},
    {"leak", leak},
};

static int make(const char *name)
{
    int found = 0;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        if (strcmp(name, "all") != 0 && strcmp(name, mistakes[i].name) != 0)
            continue;
        found = 1;
        for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++)
            ways[way].make(mistakes[i].make, &ways[way]);
    }
    if (strcmp(name, "all") == 0)
        leak_list();
    return found;
}

/* ---- None ---- */

static void must(int holds, const char *what)
{
    if (holds)
        return;
    printf("planted: %s\n", what);
    exit(1);
}

static void fill(char *object, size_t size, unsigned char with)
{
    must(object != NULL, "no memory");
    memset(object, with, size);
}

static int holds(const char *object, size_t size, unsigned char with)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)object[i] != with)
            return 0;
    return 1;
}

/* Through all sizes, in place and moved. */
static void resize(size_t from, size_t to)
{
    char *object = malloc(from);
    fill(object, from, 0x5a);
    char *moved = realloc(object, to);
    must(moved != NULL, "realloc");
    must(holds(moved, from < to ? from : to, 0x5a), "realloc lost contents");
    fill(moved, to, 0xa5);
    free(moved);
}

static void *use_all(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        char *object = ways[i].take(ways[i].size);
        fill(object, ways[i].size, 0x11);
        must(holds(object, ways[i].size, 0x11), "contents");
        ways[i].give_back(object);
    }
    static const size_t sizes[] = {1, 24, 1000, 5000, 70000, 300000};
    for (size_t from = 0; from < sizeof(sizes) / sizeof(sizes[0]); from++)
        for (size_t to = 0; to < sizeof(sizes) / sizeof(sizes[0]); to++)
            resize(sizes[from], sizes[to]);
    char *zeros = calloc(300, 1000);
    must(zeros != NULL && holds(zeros, 300000, 0), "calloc");
    must(malloc_usable_size(zeros) >= 300000, "malloc_usable_size");
    free(zeros);
    for (size_t alignment = 16; alignment <= (size_t)1 << 20; alignment *= 4) {
        char *object = memalign(alignment, 100);
        must(((uintptr_t)object & (alignment - 1)) == 0, "alignment");
        fill(object, 100, 0x22);
        free(object);
    }
    free(pvalloc(100));
    free(valloc(100));
    free(malloc(0));
    free(NULL);
    return NULL;
}

#ifndef NH_TEST_GLIBC
/* Under memcheck's own malloc there are no finalizers. */
static void finalize(void *ptr, void *arg)
{
    must(holds(ptr, 64, 0x33), "the finalizer's object");
    ++*(int *)arg;
}

static void use_finalizer(void)
{
    int ran = 0;
    char *object = malloc(64);
    fill(object, 64, 0x33);
    if (nh_attach_finalizer(object, finalize, &ran) != 0) {
        free(object);
        return;
    }
    char *moved = realloc(object, 4000);
    must(ran == 0, "realloc ran the finalizer");
    free(moved);
    must(ran == 1, "the finalizer did not run once");
}
#endif

static void *kept[64];

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "clean") != 0)
        return make(argv[1]) ? 0 : 2;
    if (argc != 2) {
        fputs("usage: planted MISTAKE | clean\n", stderr);
        return 2;
    }
    /* Reachable from a static until it is freed; each from the one before. */
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        kept[i] = malloc(16 * i);
    pthread_t thread;
    must(pthread_create(&thread, NULL, use_all, NULL) == 0, "pthread_create");
    use_all(NULL);
    must(pthread_join(thread, NULL) == 0, "pthread_join");
#ifndef NH_TEST_GLIBC
    use_finalizer();
#endif
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        free(kept[i]);
    return 0;
}
