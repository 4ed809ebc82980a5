/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * objects.c - objects between guard pages are objects as others are, for all entry points, lookups
 * and walks, other threads and forks; they have the size that was asked for, lie at an end of
 * their pages, and do not come back before others have.  Run with NEARHEAP_GUARD=1, which gives
 * nearly every object guard pages while there are slots.
 */
#include "nearheap.h"
#include "server/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define TRIES   2000
#define SLOTS   128  /* NH_GUARD_SLOTS */
#define PAGE    4096 /* the system's, or a part of it */
#define LARGEST 65536
#define NODES   4 /* numbers that some machine has */

static struct nh_object look(const void *at)
{
    struct nh_object found = {.struct_size = sizeof found};
    CHECK(nh_lookup(at, &found) == 0);
    return found;
}

/* Of a size that no class has, with a check word or without, as many have. */
static bool is_guarded(const void *object, size_t size)
{
    return look(object).size == size;
}

static void *guarded_of(void *(*alloc)(size_t size), size_t size)
{
    for (int i = 0; i < TRIES; i++) {
        void *object = alloc(size);
        CHECK(object != NULL);
        if (is_guarded(object, size)) {
            CHECK(malloc_usable_size(object) == size);
            return object;
        }
        free(object);
    }
    bool some_object_has_guard_pages = false;
    CHECK(some_object_has_guard_pages);
    return NULL;
}

static void *guarded(size_t size)
{
    return guarded_of(malloc, size);
}

/* ---- What is told of one ---- */

static int find(const struct nh_object *object, void *arg)
{
    struct nh_object *wanted = arg;
    if (object->object != wanted->object)
        return 0;
    *wanted = *object;
    return 1;
}

static int walk_for(const void *at, struct nh_object *found)
{
    *found = (struct nh_object){.object = at};
    return nh_walk_objects(find, found);
}

static void check_told(char *object, size_t size)
{
    const char *places[] = {object, object + size / 2, object + size - 1};
    for (size_t i = 0; i < 3; i++) {
        struct nh_object told = look(places[i]);
        CHECK(told.what == NH_OBJECT && told.object == object && told.size == size);
        CHECK(told.home_node == nh_node_of(places[i]));
    }
    struct nh_object told = look(object + (size + 15) / 16 * 16);
    CHECK(told.what == NH_REST && told.object == NULL);
    told = look(object - 1);
    CHECK(told.what == NH_REST && told.object == NULL);
    CHECK(nh_node_of(object) >= 0);
    struct nh_object walked;
    CHECK(walk_for(object, &walked) == 1 && walked.size == size && walked.what == NH_OBJECT);
}

static void lookups_and_walks(void)
{
    static const size_t sizes[] = {1, 15, 17, 100, 1000, 1030, 4090, 8190, 8200, 20001, 65001};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *object = guarded(sizes[i]);
        CHECK((uintptr_t)object % 16 == 0);
        fill(object, sizes[i]);
        check_told(object, sizes[i]);
        verify(object, sizes[i]);
        free(object);
        struct nh_object told = look(object);
        CHECK(told.what == NH_FREE_PAGES);
        CHECK(walk_for(object, &told) == 0);
    }
}

/* ---- Where they lie ---- */

static void at_both_ends(void)
{
    enum { SIZE = 100, ROUND = 112 };
    int at_begin = 0, at_end = 0;
    for (int i = 0; i < 100; i++) {
        uintptr_t at = (uintptr_t)guarded(SIZE);
        CHECK(at % PAGE == 0 || (at + ROUND) % PAGE == 0);
        at_begin += at % PAGE == 0;
        at_end += (at + ROUND) % PAGE == 0;
        free((void *)at);
    }
    CHECK(at_begin > 10 && at_end > 10);
}

/* All slots are used once before one is used twice; more objects than slots are others. */
static void slots_in_turn(void)
{
    enum { SIZE = 199 };
    static void *object[2 * SLOTS];
    int count = 0;
    for (int i = 0; i < 2 * SLOTS; i++) {
        object[i] = malloc(SIZE);
        CHECK(object[i] != NULL);
        count += is_guarded(object[i], SIZE);
    }
    CHECK(count > SLOTS / 2 && count <= SLOTS);
    for (int i = 0; i < 2 * SLOTS; i++)
        free(object[i]);

    void *first = guarded(SIZE);
    free(first);
    for (int i = 0; i < count / 2; i++) {
        void *other = guarded(SIZE);
        CHECK((uintptr_t)other / PAGE != (uintptr_t)first / PAGE);
        free(other);
    }
}

/* ---- Entry points ---- */

static void zeroed(void)
{
    enum { COUNT = 7, SIZE = 143 };
    for (int i = 0; i < 3 * SLOTS; i++) {
        unsigned char *object = calloc(COUNT, SIZE);
        CHECK(object != NULL);
        for (size_t k = 0; k < (size_t)COUNT * SIZE; k++)
            CHECK(object[k] == 0);
        memset(object, 0xff, (size_t)COUNT * SIZE);
        free(object);
    }
}

static void aligned(void)
{
    for (size_t alignment = 16; alignment <= LARGEST; alignment *= 2)
        for (size_t size = 1; size <= LARGEST; size = size * 3 + 1) {
            void *object = NULL;
            CHECK(posix_memalign(&object, alignment, size) == 0);
            CHECK((uintptr_t)object % alignment == 0 && malloc_usable_size(object) >= size);
            CHECK(look(object).object == object);
            fill(object, size);
            verify_free(object, size);
        }
}

#define ALIGNMENT 64

static void *alloc_aligned(size_t size)
{
    void *object = NULL;
    CHECK(posix_memalign(&object, ALIGNMENT, size) == 0 && (uintptr_t)object % ALIGNMENT == 0);
    return object;
}

/* Of some node, its own perhaps. */
static void *alloc_on_node(size_t size)
{
    static unsigned turn;
    void *object = NULL;
    while (object == NULL)
        object = nh_malloc_on_node(size, (int)(turn++ % NODES));
    return object;
}

static void by_other_functions(void)
{
    enum { SIZE = 5001, LAST = (SIZE + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT };
    bool at_end = false;
    for (int i = 0; i < SLOTS; i++) {
        char *object = guarded_of(alloc_aligned, SIZE);
        at_end = at_end || (uintptr_t)(object + LAST) % PAGE == 0;
        fill(object, SIZE);
        verify_free(object, SIZE);
        object = guarded_of(alloc_on_node, SIZE);
        fill(object, SIZE);
        verify_free(object, SIZE);
    }
    CHECK(at_end);
}

static void moved(void)
{
    enum { SIZE = 1000, LESS = 900, MORE = 5000, LARGE = 200000 };
    char *object = guarded(SIZE);
    fill(object, SIZE);
    char *same = realloc(object, SIZE);
    CHECK(same == object);
    verify(same, SIZE);
    uintptr_t was = (uintptr_t)object;
    char *other = realloc(same, LESS); /* there would be room behind it */
    CHECK(other != NULL && (uintptr_t)other != was && look((void *)was).what == NH_FREE_PAGES);
    verify_part(other, was, SIZE, LESS);
    other = realloc(other, MORE);
    CHECK(other != NULL);
    verify_part(other, was, SIZE, LESS);
    other = realloc(other, LARGE);
    CHECK(other != NULL);
    verify_part(other, was, SIZE, LESS);
    other = realloc(other, 10);
    CHECK(other != NULL);
    verify_part(other, was, SIZE, 10);
    free(other);
}

static void errno_is_kept(void)
{
    for (int i = 0; i < 3 * SLOTS; i++) {
        errno = EDOM;
        void *object = malloc(300);
        CHECK(errno == EDOM);
        free(object);
        CHECK(errno == EDOM);
    }
}

static void finalize(void *ptr, void *arg)
{
    CHECK(*(char *)ptr == 'x');
    ++*(int *)arg;
}

static void finalizers(void)
{
    int calls = 0;
    char *object = guarded(333);
    *object = 'x';
    CHECK(nh_attach_finalizer(object + 16, finalize, &calls) == -1 && errno == EINVAL);
    CHECK(nh_attach_finalizer(object, finalize, &calls) == 0);
    CHECK(is_guarded(object, 333) && look(object).object == object);
    free(object);
    CHECK(calls == 1 && look(object).what == NH_FREE_PAGES);
}

/* ---- Threads and forks ---- */

#define EXCHANGED 200

static void *free_all(void *arg)
{
    void **object = arg;
    for (int i = 0; i < EXCHANGED; i++)
        verify_free(object[i], 500);
    return NULL;
}

static void *allocate_all(void *arg)
{
    void **object = arg;
    for (int i = 0; i < EXCHANGED; i++)
        object[i] = filled(500);
    return NULL;
}

static void in_thread(void *(*run)(void *arg), void *arg)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run, arg) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void other_threads(void)
{
    static void *object[EXCHANGED];
    for (int i = 0; i < 5; i++) {
        allocate_all(object);
        in_thread(free_all, object);
        in_thread(allocate_all, object);
        free_all(object);
    }
}

static void forks(void)
{
    enum { SIZE = 777 };
    void *object = guarded(SIZE);
    fill(object, SIZE);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(look(object).object == object);
        verify_free(object, SIZE);
        for (int i = 0; i < 2 * SLOTS; i++) {
            void *own = guarded(SIZE);
            fill(own, SIZE);
            verify_free(own, SIZE);
        }
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    verify_free(object, SIZE);
}

/* ---- Refusals ---- */

#define MAPPINGS_MANY 100000 /* more are not made for a test */

static size_t mappings_allowed(void)
{
    size_t most = SIZE_MAX;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    if (file == NULL || fscanf(file, "%zu", &most) != 1)
        most = SIZE_MAX;
    if (file != NULL)
        fclose(file);
    return most;
}

/* Where no mapping can be split, objects are as others are, and freed ones as they were; and
 * again between guard pages when it can. */
static void no_mappings_left(void)
{
    enum { SIZE = 901, COUNT = 50 };
    size_t most = mappings_allowed();
    if (most > MAPPINGS_MANY)
        return;
    void *object[COUNT];
    for (int i = 0; i < COUNT; i++) {
        object[i] = guarded(SIZE);
        fill(object[i], SIZE);
    }
    size_t bytes = 2 * most * PAGE;
    char *region = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(region != MAP_FAILED);
    size_t at = 0;
    while (at < bytes && mprotect(region + at, PAGE, PROT_READ) == 0)
        at += 2 * PAGE;
    CHECK(at < bytes && errno == ENOMEM);
    for (int i = 0; i < COUNT; i++)
        verify_free(object[i], SIZE);
    for (int i = 0; i < 3 * SLOTS; i++)
        verify_free(filled(SIZE), SIZE);
    CHECK(munmap(region, bytes) == 0);
    for (int i = 0; i < 3 * SLOTS; i++) {
        void *new = guarded(SIZE);
        fill(new, SIZE);
        verify_free(new, SIZE);
    }
}

/* What is live is counted, and is none when all is free. */
static void counters(void)
{
    struct nh_stats before = {.struct_size = sizeof before}, stats = before;
    CHECK(nh_stats_read(&before) == 0);
    void *object = guarded(9000);
    CHECK(nh_stats_read(&stats) == 0 && stats.large_objects == before.large_objects + 1);
    free(object);
    CHECK(nh_stats_read(&stats) == 0 && stats.large_objects == before.large_objects);
}

int main(void)
{
    lookups_and_walks();
    at_both_ends();
    zeroed();
    aligned();
    by_other_functions();
    moved();
    errno_is_kept();
    finalizers();
    other_threads();
    forks();
    counters();
    slots_in_turn();
    no_mappings_left();
    return 0;
}
