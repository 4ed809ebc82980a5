/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cancel.c - threads that are cancelled: malloc and free are no cancellation points, so
 * what a thread cached comes back, and what it held is freed by its cleanup handlers.
 */
#include "check.h"
#include "part.h"
#include "settled.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#define THREADS     (UNDER_TSAN ? 60 : 600)
#define HELD        100
#define LARGE       ((size_t)1 << 20)
#define HELD_SLACK  ((uint64_t)4 << 20) /* growth steps, for each node */
#define LIVE_SLACK  ((uint64_t)64 << 10)
#define BEFORE_LAST 2000

struct held {
    void *at[HELD];
    size_t size[HELD];
    size_t count;
};

static void free_held(void *arg)
{
    struct held *held = arg;
    while (held->count > 0) {
        held->count--;
        verify_free(held->at[held->count], held->size[held->count]);
    }
}

static void allocate(struct held *held, uint32_t *random)
{
    if (held->count == HELD)
        free_held(held);
    size_t size = 1 + random_next32(random) % (random_next32(random) % 64 == 0 ? LARGE : 2000);
    held->size[held->count] = size;
    held->at[held->count] = filled(size);
    held->count++;
}

static sem_t at_work;

/* Deferred: cancelled at a point that it names. */
static void *deferred(void *arg)
{
    struct held held = {.count = 0};
    uint32_t random = (uint32_t)(uintptr_t)arg;
    pthread_cleanup_push(free_held, &held);
    sem_post(&at_work);
    for (;;) {
        allocate(&held, &random);
        pthread_testcancel();
    }
    pthread_cleanup_pop(1);
    return NULL;
}

/* Asked to end before it begins: it allocates as long as it names no such point. */
static void *asked_before(void *arg)
{
    struct held held = {.count = 0};
    uint32_t random = (uint32_t)(uintptr_t)arg;
    pthread_cleanup_push(free_held, &held);
    CHECK(pthread_cancel(pthread_self()) == 0);
    for (int i = 0; i < BEFORE_LAST; i++)
        allocate(&held, &random);
    (void)malloc_trim(0);
    sem_post(&at_work);
    pthread_testcancel();
    CHECK(false);
    pthread_cleanup_pop(1);
    return NULL;
}

/* Anywhere, but while it allocates, which no function of this kind allows. */
static void *asynchronous(void *arg)
{
    struct held held = {.count = 0};
    uint32_t random = (uint32_t)(uintptr_t)arg;
    int before;
    pthread_cleanup_push(free_held, &held);
    sem_post(&at_work);
    for (;;) {
        for (int i = 0; i < 20; i++)
            allocate(&held, &random);
        CHECK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before) == 0);
        for (unsigned volatile i = 0; i < 1000; i++)
            ;
        CHECK(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &before) == 0);
    }
    pthread_cleanup_pop(1);
    return NULL;
}

int main(void)
{
    void *(*const mains[])(void *) = {deferred, asked_before, asynchronous};
    struct nh_stats before = settled_stats();
    CHECK(sem_init(&at_work, 0, 0) == 0);
    size_t threads = (size_t)part_of(THREADS);
    for (uintptr_t i = 0; i < threads; i++) {
        pthread_t thread;
        void *result;
        if (i == threads / 3)
            before = settled_stats();
        CHECK(pthread_create(&thread, NULL, mains[i % 3], (void *)(i + 1)) == 0);
        while (sem_wait(&at_work) != 0)
            ;
        CHECK(i % 3 == 1 || pthread_cancel(thread) == 0);
        CHECK(pthread_join(thread, &result) == 0);
        CHECK(result == PTHREAD_CANCELED);
    }
    struct nh_stats after = settled_stats();
    uint64_t held_before = before.mapped_bytes + before.metadata_bytes;
    uint64_t held_after = after.mapped_bytes + after.metadata_bytes;
    printf("cancel: %zu threads; live %llu then %llu bytes, held %llu then %llu KiB\n", threads,
           (unsigned long long)before.live_bytes, (unsigned long long)after.live_bytes,
           (unsigned long long)held_before >> 10, (unsigned long long)held_after >> 10);
    CHECK(after.live_bytes <= before.live_bytes + LIVE_SLACK);
    CHECK(held_after <= held_before + HELD_SLACK * after.nodes);
    return 0;
}
