/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * walk.c - nh_walk_spans, nh_foreach and nh_walk_objects: every object that is held
 * once, none that is free wherever it is cached, at rest and while others go on.
 *
 * The process has other objects than the test's (libc's, cmocka's): these are told
 * apart by looking the test's own up in a sorted array.
 */
#include "family.h"

#include "nearheap.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define OBJECTS 4000
#define THREADS 3

/* Prime to each other, so that neighbours differ; the last ones have spans of their own. */
static const size_t sizes[] = {1, 16, 100, 640, 1000, 3000, 9000, 60000, 70000, 300000};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

struct mine {
    const char *at;
    size_t size;
    bool held;
    unsigned seen;
};
static struct mine mine[OBJECTS];

static int by_address(const void *a, const void *b)
{
    const struct mine *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

static struct mine *find(const void *at)
{
    struct mine key = {.at = at};
    return bsearch(&key, mine, OBJECTS, sizeof(mine[0]), by_address);
}

/* All allocated, then every third one freed, whose pointers stay in the array. */
static void prepare(void)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        size_t size = sizes[i % SIZES];
        mine[i] = (struct mine){.at = malloc(size), .size = size, .held = i % 3 != 0};
        assert_non_null(mine[i].at);
    }
    for (size_t i = 0; i < OBJECTS; i += 3)
        free((void *)mine[i].at);
    qsort(mine, OBJECTS, sizeof(mine[0]), by_address);
}

static void release(void)
{
    for (size_t i = 0; i < OBJECTS; i++)
        if (mine[i].held)
            free((void *)mine[i].at);
}

struct walked {
    const void *last;
    size_t objects, wrong;
};

static int note(const struct nh_object *object, void *arg)
{
    struct walked *walked = arg;
    walked->objects++;
    /* In order, so none twice. */
    walked->wrong += walked->last != NULL && object->object <= walked->last;
    walked->last = object->object;
    walked->wrong += object->struct_size != sizeof(*object);
    walked->wrong += object->what != NH_OBJECT && object->what != NH_PAGES;
    struct mine *known = find(object->object);
    if (known != NULL) {
        known->seen++; /* one that the test freed may be anybody's by now */
        walked->wrong += known->held && (object->size < known->size ||
                                         object->home_node != nh_node_of(object->object));
    }
    return 0;
}

/* Objects freed and allocated again, by the test or others, are anything. */
static void walk_and_check(bool freed_too)
{
    struct walked walked = {0};
    for (size_t i = 0; i < OBJECTS; i++)
        mine[i].seen = 0;
    assert_int_equal(nh_walk_objects(note, &walked), 0);
    assert_int_equal(walked.wrong, 0);
    for (size_t i = 0; i < OBJECTS; i++) {
        if (mine[i].held)
            assert_int_equal(mine[i].seen, 1);
        else if (freed_too)
            assert_int_equal(mine[i].seen, 0);
    }
}

static void held_once_and_free_not(void **state)
{
    (void)state;
    prepare();
    walk_and_check(true);
    walk_and_check(true);
    release();
    for (size_t i = 0; i < OBJECTS; i++)
        mine[i].held = false;
    walk_and_check(true);
}

/* ---- Other threads, which hold free objects in their caches ---- */

static pthread_barrier_t barrier;
static _Atomic(const char *) cached[THREADS][SIZES];

static void *caches(void *arg)
{
    size_t self = (size_t)(uintptr_t)arg;
    for (size_t i = 0; i < SIZES; i++) {
        void *a = malloc(sizes[i]), *b = malloc(sizes[i]);
        free(b);
        free(a);
        atomic_store(&cached[self][i], a);
    }
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier); /* the walk is between the two */
    return NULL;
}

static int is_cached(const struct nh_object *object, void *arg)
{
    (void)arg;
    for (size_t i = 0; i < THREADS; i++)
        for (size_t j = 0; j < SIZES; j++)
            if (object->object == atomic_load(&cached[i][j]))
                return 1;
    return 0;
}

static void what_other_threads_cache_is_free(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS + 1), 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, caches, (void *)i), 0);
    pthread_barrier_wait(&barrier);
    int found = nh_walk_objects(is_cached, NULL);
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(found, 0);
}

static _Atomic bool stop;

static void *churns(void *arg)
{
    size_t step = 1 + (size_t)(uintptr_t)arg;
    void *objects[200] = {NULL};
    for (size_t i = 0; !atomic_load(&stop); i += step) {
        free(objects[i % 200]);
        objects[i % 200] = malloc(sizes[i % SIZES]);
    }
    for (size_t i = 0; i < 200; i++)
        free(objects[i]);
    return NULL;
}

static void while_others_go_on(void **state)
{
    (void)state;
    prepare();
    pthread_t threads[THREADS];
    atomic_store(&stop, false);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churns, (void *)i), 0);
    for (unsigned i = 0; i < 20; i++)
        walk_and_check(false);
    atomic_store(&stop, true);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    release();
}

/* ---- Threads that move between nodes ---- */

#define NODES     4 /* numbers that some machine has */
#define MOVES     4000
#define MOST_HELD 60
#define MOVED     8 /* of the smallest sizes */

static _Atomic unsigned movers;

/* What a thread allocates after it was told its node lies there. */
static void *moves(void *arg)
{
    static _Atomic unsigned begun;
    unsigned first = atomic_fetch_add(&begun, 1);
    size_t *wrong = arg;
    for (unsigned i = 0; i < MOVES; i++) {
        void *objects[MOVED][MOST_HELD];
        int node = (int)((first + i) % NODES);
        if (nh_set_thread_node(node) != 0)
            continue;                                  /* there is no such node */
        unsigned held = node % 2 == 0 ? MOST_HELD : 2; /* so that some go from one to the other */
        for (size_t k = 0; k < (size_t)MOVED * held; k++) {
            void *object = malloc(16 * (1 + k % MOVED));
            objects[k % MOVED][k / MOVED] = object;
            *wrong += nh_node_of(object) != node;
        }
        for (size_t k = 0; k < (size_t)MOVED * held; k++)
            free(objects[k % MOVED][k / MOVED]);
    }
    atomic_fetch_sub(&movers, 1);
    return NULL;
}

static void walks_leave_what_moving_threads_cache(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    size_t wrong[THREADS] = {0};
    atomic_store(&movers, THREADS);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, moves, &wrong[i]), 0);
    while (atomic_load(&movers) != 0) {
        struct walked walked = {0};
        assert_int_equal(nh_walk_objects(note, &walked), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(wrong[i], 0);
    }
}

/* ---- What fn may do ---- */

static int allocates(const struct nh_object *object, void *arg)
{
    (void)object;
    size_t *calls = arg;
    free(malloc(sizes[*calls % SIZES]));
    struct nh_stats stats = {.struct_size = sizeof(stats)};
    if (*calls % 1000 == 0) {
        struct walked walked = {0};
        assert_int_equal(nh_walk_objects(note, &walked), 0);
        assert_int_equal(nh_stats_read(&stats), 0);
        malloc_trim(0);
    }
    ++*calls;
    return 0;
}

static int frees(const struct nh_object *object, void *arg)
{
    struct mine *known = find(object->object);
    if (known != NULL && known->held) {
        known->held = false;
        free((void *)known->at);
        ++*(size_t *)arg;
    }
    return 0;
}

static void fn_may_allocate_free_and_walk(void **state)
{
    (void)state;
    prepare();
    size_t calls = 0, freed = 0;
    assert_int_equal(nh_walk_objects(allocates, &calls), 0);
    assert_true(calls >= OBJECTS / 2);
    assert_int_equal(nh_walk_objects(frees, &freed), 0);
    assert_true(freed >= OBJECTS / 2);
    walk_and_check(true);
}

static int stops(const struct nh_object *object, void *arg)
{
    (void)object;
    return ++*(int *)arg == 3 ? 77 : 0;
}

static void fn_ends_a_walk(void **state)
{
    (void)state;
    void *a = malloc(100), *b = malloc(100), *c = malloc(100);
    int calls = 0;
    assert_int_equal(nh_walk_objects(stops, &calls), 77);
    assert_int_equal(calls, 3);
    free(a);
    free(b);
    free(c);
}

/* ---- Spans ---- */

struct spans {
    const char *end;
    size_t spans, by_state[NH_SPAN_FREE + 1];
    size_t held, wrong;
};

static int note_span(const struct nh_span *span, void *arg)
{
    struct spans *all = arg;
    all->wrong += (const char *)span->base < all->end;
    all->end = (const char *)span->base + span->size;
    all->wrong += span->struct_size != sizeof(*span) || span->size == 0;
    all->wrong += span->held > span->objects || span->objects * span->object_size > span->size;
    all->wrong += span->state != NH_SPAN_FREE && span->home_node < 0;
    all->wrong += span->state == NH_SPAN_FREE && span->objects != 0;
    all->spans++;
    all->by_state[span->state]++;
    all->held += span->held;
    return 0;
}

static void spans_in_order(void **state)
{
    (void)state;
    prepare();
    void *pages = nh_pages_alloc(3, -1);
    struct spans all = {0};
    assert_int_equal(nh_walk_spans(note_span, &all), 0);
    assert_int_equal(all.wrong, 0);
    struct walked walked = {0};
    assert_int_equal(nh_walk_objects(note, &walked), 0);
    assert_int_equal(all.held, walked.objects);
    assert_true(all.by_state[NH_SPAN_MANUAL] >= 1);
    for (int which = NH_SPAN_IN_USE; which <= NH_SPAN_FREE; which++) {
        struct spans some = {0};
        assert_int_equal(nh_foreach((enum nh_span_state)which, note_span, &some), 0);
        assert_int_equal(some.wrong, 0);
        assert_int_equal(some.spans, some.by_state[which]);
        assert_int_equal(some.spans, all.by_state[which]);
    }
    nh_pages_free(pages);
    release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held_once_and_free_not),
        cmocka_unit_test(what_other_threads_cache_is_free),
        cmocka_unit_test(while_others_go_on),
        cmocka_unit_test(walks_leave_what_moving_threads_cache),
        cmocka_unit_test(fn_may_allocate_free_and_walk),
        cmocka_unit_test(fn_ends_a_walk),
        cmocka_unit_test(spans_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
