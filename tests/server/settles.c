/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * settles.c - after a peak, a process that does hardly anything more gives its memory
 * back: what lay in caches and depots too, and although the little that it allocates
 * never takes a slow path.
 *
 * usage: settles THREADS|shrink [aligned]
 *        shrink: the peak is an object that becomes short; aligned: the little is that
 */
#include "check.h"
#include "nearheap.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define LIVE_BYTES   ((size_t)64 << 20)
#define SETTLED_MOST ((size_t)4 << 20)
#define SIZES        1024U
#define PATIENCE_S   60
#define WARM_BEATS   6400

/* What is left of an object, which no free tells of. */
#define SHORT_BYTES ((size_t)1 << 20)

static unsigned threads;
static void *kept;
static pthread_barrier_t at_peak, seen;

/* Makes objects of all small sizes and frees them in another order. */
static void *peak(void *argument)
{
    uint32_t random = 2463534242U + *(unsigned *)argument;
    size_t count = LIVE_BYTES / threads / (SIZES / 2);
    void **objects = malloc(count * sizeof *objects);
    CHECK(objects != NULL);
    for (size_t i = 0; i < count; i++) {
        size_t size = 1 + random_next32(&random) % SIZES;
        objects[i] = malloc(size);
        CHECK(objects[i] != NULL);
        fill(objects[i], size);
    }
    pthread_barrier_wait(&at_peak);
    pthread_barrier_wait(&seen);
    for (size_t left = count; left > 0; left--) {
        size_t at = random_next32(&random) % left;
        free(objects[at]);
        objects[at] = objects[left - 1];
    }
    free(objects);
    return NULL;
}

static size_t held(void)
{
    struct nh_stats stats = {.struct_size = sizeof stats};
    CHECK(nh_stats_read(&stats) == 0);
    return stats.mapped_bytes - stats.released_bytes;
}

/* An idle server's heartbeat: the same few objects, over and over, one at a time. */
static void beat(bool aligned)
{
    static size_t size;
    size = size % SIZES + 16;
    free(aligned ? aligned_alloc(64, 64) : malloc(size));
}

static size_t peak_of_one(void)
{
    char *object = malloc(LIVE_BYTES);
    CHECK(object != NULL);
    fill(object, LIVE_BYTES);
    size_t most = held();
    kept = realloc(object, SHORT_BYTES);
    CHECK(kept != NULL);
    return most;
}

static size_t peak_of_threads(void)
{
    pthread_t all[64];
    unsigned number[64];
    CHECK(pthread_barrier_init(&at_peak, NULL, threads + 1) == 0);
    CHECK(pthread_barrier_init(&seen, NULL, threads + 1) == 0);
    for (unsigned i = 0; i < threads; i++) {
        number[i] = i;
        CHECK(pthread_create(&all[i], NULL, peak, &number[i]) == 0);
    }
    pthread_barrier_wait(&at_peak);
    size_t most = held();
    pthread_barrier_wait(&seen);
    for (unsigned i = 0; i < threads; i++)
        CHECK(pthread_join(all[i], NULL) == 0);
    return most;
}

int main(int argc, char **argv)
{
    CHECK(argc == 2 || argc == 3);
    bool one = strcmp(argv[1], "shrink") == 0, aligned = argc == 3;
    CHECK(!aligned || strcmp(argv[2], "aligned") == 0);
    for (unsigned i = 0; i < WARM_BEATS; i++) /* from caches, from then on */
        beat(aligned);
    threads = one ? 1 : (unsigned)atoi(argv[1]);
    CHECK(threads >= 1 && threads <= 64);
    size_t most = one ? peak_of_one() : peak_of_threads();

    size_t last;
    struct timespec begun, now, pause = {.tv_nsec = 100000};
    clock_gettime(CLOCK_MONOTONIC, &begun);
    do {
        beat(aligned);
        nanosleep(&pause, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
        last = held();
    } while (last > SETTLED_MOST && now.tv_sec - begun.tv_sec < PATIENCE_S);
    printf("settles: %zu KiB at the peak, %zu KiB in the end\n", most >> 10, last >> 10);
    CHECK(most > LIVE_BYTES / 2);
    CHECK(last <= SETTLED_MOST);
    return 0;
}
