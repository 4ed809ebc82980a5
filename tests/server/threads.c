/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * threads.c - threads that come and go while others allocate: caches return; threads
 * that allocate in destructors after the allocator's own, and N of them alive at once.
 *
 * usage: threads churn | destructors | many N
 */
#include "family.h"
#include "nearheap.h"
#include "part.h"
#include "settled.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define CHURN_ROUNDS 3000
#define BYSTANDERS   2
#define MANY_STACK   ((size_t)64 << 10)
/* What glibc keeps of ended threads: stacks of 40 MiB together, and of each the vector of its
 * thread-local storage. */
#define STACKS_KEPT   (((size_t)40 << 20) / MANY_STACK)
#define STACK_TOUCHED ((size_t)16 << 10)
#define VECTOR_MOST   512
#define VECTORS_MORE  16
#define CACHE_MOST    ((size_t)8 << 10) /* the record of a thread's cache */
#define HEAP_STEP     ((size_t)2 << 20)
#define HEAP_SLACK    (2 * HEAP_STEP) /* less than what the threads hold when all are alive */
#define CACHED_SLACK  ((size_t)64 << 10)
#define DTOR_THREADS  200
#define DTOR_ROUNDS   3 /* of the four that POSIX gives a destructor */

static void use(size_t objects)
{
    void *held[64];
    for (size_t i = 0; i < objects; i++) {
        size_t size = 16 + i % 1000 * 7;
        void **slot = &held[i % 64];
        if (i >= 64)
            free(*slot);
        *slot = malloc(size);
        if (*slot == NULL)
            abort();
        memset(*slot, (int)i, size);
    }
    for (size_t i = 0; i < 64 && i < objects; i++)
        free(held[i]);
}

static void *user(void *arg)
{
    use(500);
    return arg;
}

static uint64_t held_bytes(void)
{
    struct nh_stats s = {.struct_size = sizeof(s)};
    if (nh_stats_read(&s) != 0)
        abort();
    return s.mapped_bytes + s.metadata_bytes;
}

static _Atomic bool churned;

static void *bystander(void *arg)
{
    while (!atomic_load_explicit(&churned, memory_order_relaxed))
        use(500);
    return arg;
}

static int churn(void)
{
    uint64_t settled = 0;
    pthread_t others[BYSTANDERS];
    for (int i = 0; i < BYSTANDERS; i++)
        if (pthread_create(&others[i], NULL, bystander, NULL) != 0)
            return 2;
    int rounds = part_of(CHURN_ROUNDS);
    for (int i = 0; i < rounds; i++) {
        pthread_t t[4];
        for (int k = 0; k < 4; k++)
            if (pthread_create(&t[k], NULL, user, NULL) != 0)
                return 2;
        for (int k = 0; k < 4; k++)
            pthread_join(t[k], NULL);
        if (i == rounds / 3)
            settled = held_bytes();
    }
    atomic_store_explicit(&churned, true, memory_order_relaxed);
    for (int i = 0; i < BYSTANDERS; i++)
        pthread_join(others[i], NULL);
    uint64_t at_end = held_bytes();
    printf("threads: %d ended, %llu KiB held after a third, %llu KiB at the end\n", 4 * rounds,
           (unsigned long long)settled >> 10, (unsigned long long)at_end >> 10);
    /* One growth step of slack for each heap. */
    uint64_t steps = (uint64_t)nh_node_count() << 21;
    return at_end <= settled + settled / 8 + steps ? 0 : 1;
}

static pthread_key_t keys[40];

static void destructor(void *arg)
{
    /* arg counts rounds; it was malloc'ed, and is freed and renewed here. */
    unsigned rounds = *(unsigned *)arg;
    free(arg);
    use(200);
    char *p = malloc(100000);
    p = realloc(p, 300000);
    free(p);
    if (rounds < DTOR_ROUNDS) {
        unsigned *next = malloc(sizeof(*next));
        if (next == NULL)
            abort();
        *next = rounds + 1;
        pthread_setspecific(keys[rounds], next);
    }
    if (rounds == 2)
        pthread_exit(NULL); /* ends in the middle of a destructor */
}

static void *with_destructors(void *arg)
{
    use(100);
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        unsigned *n = malloc(sizeof(*n));
        if (n == NULL)
            abort();
        *n = (unsigned)i % 3;
        pthread_setspecific(keys[i], n);
    }
    return arg;
}

static int destructors(void)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        if (pthread_key_create(&keys[i], destructor) != 0)
            return 2;
    uint64_t before = 0;
    for (int i = 0; i < DTOR_THREADS; i++) {
        pthread_t t;
        if (pthread_create(&t, NULL, with_destructors, NULL) != 0)
            return 2;
        pthread_join(t, NULL);
        if (i == DTOR_THREADS / 2)
            before = held_bytes();
    }
    printf("threads: %d with destructors that allocate\n", DTOR_THREADS);
    return held_bytes() <= before + ((uint64_t)4 << 20) ? 0 : 1;
}

static pthread_barrier_t all_alive;

static void *one_of_many(void *arg)
{
    size_t i = (size_t)(uintptr_t)arg;
    char *p = malloc(100 + i % 1000);
    if (p == NULL)
        abort();
    memset(p, (int)(i & 0x7f), 100 + i % 1000);
    pthread_barrier_wait(&all_alive);
    for (size_t k = 0; k < 100 + i % 1000; k++)
        if (p[k] != (char)(i & 0x7f))
            abort();
    free(p);
    return NULL;
}

/* What there is when they have ended. */
struct rest {
    struct nh_stats stats;
    uint64_t held, resident; /* bytes: of objects' memory, what the heaps have not given back */
};

static struct rest rest(void)
{
    struct rest now = {.stats = settled_stats()};
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%*u %lu", &pages) == 1);
    fclose(file);
    now.held = now.stats.mapped_bytes - now.stats.released_bytes;
    now.resident = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return now;
}

/* SKIPPED when there cannot be so many. */
static int wave(pthread_t *ids, size_t count)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, MANY_STACK);
    pthread_barrier_init(&all_alive, NULL, (unsigned)count + 1);
    for (size_t i = 0; i < count; i++) {
        int error = pthread_create(&ids[i], &attributes, one_of_many, (void *)(uintptr_t)i);
        if (error != 0) {
            printf("threads: the system refuses thread %zu: %s\n", i, strerror(error));
            return SKIPPED;
        }
    }
    pthread_barrier_wait(&all_alive);
    for (size_t i = 0; i < count; i++)
        pthread_join(ids[i], NULL);
    pthread_barrier_destroy(&all_alive);
    return 0;
}

static void tell(const char *when, const struct rest *rest)
{
    printf("threads: %s: KiB live %llu, cached %llu, of metadata %llu, held %llu, resident %llu\n",
           when, (unsigned long long)rest->stats.live_bytes >> 10,
           (unsigned long long)rest->stats.cached_bytes >> 10,
           (unsigned long long)rest->stats.metadata_bytes >> 10,
           (unsigned long long)rest->held >> 10, (unsigned long long)rest->resident >> 10);
    fflush(stdout);
}

/* The first wave leaves stacks that libc keeps, each with some pages and a vector, and records
 * of caches for threads to come, which are never unmapped; the second uses these, but on each
 * node those of its own, and of several one has more threads the next time. */
static int many(size_t count)
{
    pthread_t *ids = calloc(count, sizeof(*ids));
    CHECK(ids != NULL);
    int status = wave(ids, 1);
    struct rest before = rest();
    status = status == 0 ? wave(ids, count) : status;
    struct rest first = rest();
    status = status == 0 ? wave(ids, count) : status;
    struct rest second = rest();
    free(ids);
    if (status != 0)
        return status;
    printf("threads: twice %zu alive at once\n", count);
    tell("before", &before);
    tell("after the first", &first);
    tell("after the second", &second);

    uint64_t grown = first.stats.metadata_bytes - before.stats.metadata_bytes;
    CHECK(first.stats.live_bytes <= before.stats.live_bytes + STACKS_KEPT * VECTOR_MOST);
    CHECK(grown <= count * CACHE_MOST + HEAP_STEP);
    CHECK(first.held <= before.held + STACKS_KEPT * VECTOR_MOST + HEAP_SLACK);
    CHECK(first.resident <= before.resident + grown + STACKS_KEPT * STACK_TOUCHED + HEAP_STEP);

    CHECK(second.stats.live_bytes <= first.stats.live_bytes + VECTORS_MORE * VECTOR_MOST);
    uint64_t more = second.stats.metadata_bytes - first.stats.metadata_bytes;
    CHECK(more <= (nh_node_count() > 1 ? grown / 2 : 0) + HEAP_STEP);
    CHECK(second.held <= first.held + HEAP_SLACK);
    CHECK(second.resident <= first.resident + more + HEAP_STEP);
    CHECK(second.stats.cached_bytes <= before.stats.cached_bytes + CACHED_SLACK);
    CHECK(second.stats.caches <= (uint64_t)sysconf(_SC_NPROCESSORS_CONF) + 1);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "churn") == 0)
        return churn();
    if (argc == 2 && strcmp(argv[1], "destructors") == 0)
        return destructors();
    if (argc == 3 && strcmp(argv[1], "many") == 0)
        return many((size_t)part_of((int)strtol(argv[2], NULL, 10)));
    fputs("usage: threads churn | destructors | many N\n", stderr);
    return 2;
}
