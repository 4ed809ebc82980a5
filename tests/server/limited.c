/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * limited.c - memory runs out (RLIMIT_AS), time and again: malloc says NULL and
 * ENOMEM at last, what was allocated is whole, and what is freed can be had
 * again, in the same sizes and in all others.
 *
 * All sizes of a kind are drawn at random: so every size class is exhausted at
 * the same time, and the next kind needs classes that had nothing before.
 */
#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>

#define LIMIT   ((rlim_t)400 << 20)
#define TIMES   3
#define THREADS 3

struct object {
    struct object *next;
    size_t size;
    unsigned char bytes[];
};

static size_t draw(uint32_t *state, size_t least, size_t most)
{
    return least + random_next(state) % (most - least + 1);
}

/* Nothing is left now, and no call makes anything worse. */
static void check_refusals(struct object *first)
{
    static const size_t too_much = (size_t)1 << 40;
    errno = 0;
    CHECK(calloc(8, too_much) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(realloc(first, too_much) == NULL && errno == ENOMEM);
    void *out = &first;
    CHECK(posix_memalign(&out, 4096, too_much) == ENOMEM && out == &first);
}

/* To have less needs no memory: glibc never refuses it. */
static struct object *shrink(struct object *object)
{
    size_t size = object->size / 3;
    if (size < sizeof(*object))
        return object;
    uintptr_t was = (uintptr_t)object->bytes;
    size_t had = object->size - sizeof(*object);
    object = realloc(object, size);
    CHECK(object != NULL);
    verify_part(object->bytes, was, had, size - sizeof(*object));
    object->size = size;
    fill(object->bytes, size - sizeof(*object));
    return object;
}

/* Bytes obtained in objects of `least` to `most` bytes until none is left. */
static size_t exhaust(size_t least, size_t most)
{
    uint32_t state = 7;
    size_t sum = 0;
    struct object *first = NULL;
    for (;;) {
        size_t size = draw(&state, least, most);
        errno = 0;
        struct object *object = malloc(size);
        if (object == NULL) {
            CHECK(errno == ENOMEM);
            break;
        }
        *object = (struct object){.next = first, .size = size};
        fill(object->bytes, size - sizeof(*object));
        first = object;
        sum += size;
    }
    if (first != NULL) {
        check_refusals(first);
        first = shrink(first);
    }
    while (first != NULL) {
        struct object *object = first;
        first = object->next;
        verify(object->bytes, object->size - sizeof(*object));
        free(object);
    }
    return sum;
}

/* Threads have their stacks before there is no room for any. */
static pthread_barrier_t all_go;

static void *compete(void *arg)
{
    (void)arg;
    pthread_barrier_wait(&all_go);
    for (int i = 0; i < TIMES; i++)
        (void)exhaust(32, 30000);
    return NULL;
}

int main(void)
{
    static const struct {
        size_t least, most;
    } kinds[] = {{32, 500}, {100, 60000}, {100000, 4000000}, {600, 1000}, {32, 100000}};
    struct rlimit limit = {.rlim_cur = LIMIT, .rlim_max = LIMIT};
    pthread_t threads[THREADS];
    CHECK(pthread_barrier_init(&all_go, NULL, THREADS + 1) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, compete, NULL) == 0);
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
        size_t first = 0;
        for (int i = 0; i < TIMES; i++) {
            size_t sum = exhaust(kinds[kind].least, kinds[kind].most);
            if (i == 0)
                first = sum;
            printf("limited: %zu to %zu bytes: %zu MiB\n", kinds[kind].least, kinds[kind].most,
                   sum >> 20);
            fflush(stdout);
            CHECK(sum >= LIMIT / 3);
            CHECK(sum >= first / 10 * 8);
        }
    }
    /* Threads that want everything at the same time: each may get little. */
    pthread_barrier_wait(&all_go);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    printf("limited: %d threads at a time\n", THREADS);
    CHECK(exhaust(32, 100000) >= LIMIT / 3);
    return 0;
}
