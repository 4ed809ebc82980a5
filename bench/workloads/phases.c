/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * phases.c - what becomes of a heap over time.
 */
#include "workload.h"

#include <pthread.h>

/* ---- lifetimes -----------------------------------------------------------------
 * Most objects die young, some live through many others' lives, and one in a
 * thousand stays to the end; after the programs called mstress and rptest. */

#define LIFETIMES_ROUNDS 3000000
#define LIFETIMES_YOUNG  256
#define LIFETIMES_OLD    20000
#define LIFETIMES_KEPT   1000 /* one in so many */

static void lifetimes_work(struct workload_thread *thread)
{
    size_t rounds = workload_scaled(thread, LIFETIMES_ROUNDS);
    size_t kept_most = rounds / LIFETIMES_KEPT + 1, kept_count = 0;
    struct workload_object *young = calloc(LIFETIMES_YOUNG, sizeof *young);
    struct workload_object *old = calloc(LIFETIMES_OLD, sizeof *old);
    struct workload_object *kept = calloc(kept_most, sizeof *kept);
    if (young == NULL || old == NULL || kept == NULL)
        workload_fail("calloc returned NULL");
    for (size_t round = 0; round < rounds; round++) {
        uint64_t draw = random_next(&thread->random);
        struct workload_object object = workload_get(workload_server[draw & WORKLOAD_SIZE_MASK]);
        if (round % LIFETIMES_KEPT == 0) {
            kept[kept_count++] = object;
            continue;
        }
        struct workload_object *place = (draw >> 16 & 31) == 0
                                            ? &old[(draw >> 32) % LIFETIMES_OLD]
                                            : &young[(draw >> 32) % LIFETIMES_YOUNG];
        if (place->at != NULL)
            workload_put(*place);
        *place = object;
    }
    for (size_t i = 0; i < LIFETIMES_YOUNG; i++)
        if (young[i].at != NULL)
            workload_put(young[i]);
    for (size_t i = 0; i < LIFETIMES_OLD; i++)
        if (old[i].at != NULL)
            workload_put(old[i]);
    for (size_t i = 0; i < kept_count; i++)
        workload_put(kept[i]);
    free(young);
    free(old);
    free(kept);
    thread->operations = rounds;
}

const struct workload workload_lifetimes = {.name = "lifetimes",
                                            .about =
                                                "most objects die young, some old, a few are kept",
                                            .work = lifetimes_work};

/* ---- peaks ------------------------------------------------------------------------
 * A peak, freed in random order but for one object in a hundred, then a second peak
 * of other sizes: memory of the first must serve the second. */

#define PEAKS_FIRST  (24U << 20) /* bytes each thread has at a peak */
#define PEAKS_ROUNDS 4
#define PEAKS_KEPT   100 /* one in so many */
#define PEAKS_MOST   1000000U

/* Fills `objects` with sizes of `base` to 2 x base bytes; returns how many. */
static size_t peak_get(struct workload_object *objects, size_t base, size_t bytes, uint64_t *random)
{
    size_t count = 0;
    for (size_t got = 0; got < bytes && count < PEAKS_MOST; count++) {
        objects[count] = workload_get(base + random_next(random) % base);
        got += objects[count].size;
    }
    return count;
}

static void peaks_work(struct workload_thread *thread)
{
    static const size_t bases[] = {48, 700, 160, 2600};
    struct workload_object *objects = malloc(PEAKS_MOST * sizeof *objects);
    struct workload_object *kept = malloc(PEAKS_MOST * sizeof *kept);
    if (objects == NULL || kept == NULL)
        workload_fail("malloc returned NULL");
    size_t kept_count = 0;
    for (size_t round = 0; round < PEAKS_ROUNDS; round++) {
        size_t count =
            peak_get(objects, bases[round], workload_scaled(thread, PEAKS_FIRST), &thread->random);
        thread->operations += count;
        for (size_t left = count; left > 0; left--) {
            size_t at = random_next(&thread->random) % left;
            if (left % PEAKS_KEPT == 0 && kept_count < PEAKS_MOST)
                kept[kept_count++] = objects[at];
            else
                workload_put(objects[at]);
            objects[at] = objects[left - 1];
        }
    }
    for (size_t i = 0; i < kept_count; i++)
        workload_put(kept[i]);
    free(objects);
    free(kept);
}

const struct workload workload_peaks = {
    .name = "peaks", .about = "peaks of other sizes one after another", .work = peaks_work};

/* ---- idle threads -------------------------------------------------------------------
 * Many threads that allocate a little, mostly one after another, and keep some of it:
 * connections.  Each thread of the run plays many. */

#define CONNECTIONS      500 /* by each thread of the run */
#define CONNECTION_KEEPS 50
#define CONNECTION_BURST 200
#define CONNECTION_TURNS 20

struct connection {
    pthread_t thread;
    pthread_mutex_t lock; /* guards turns */
    pthread_cond_t turned;
    unsigned turns, done; /* asked for and made */
    uint64_t random;
};

static void *connection_main(void *argument)
{
    struct connection *self = argument;
    struct workload_object kept[CONNECTION_KEEPS] = {0};
    for (unsigned turn = 0; turn < CONNECTION_TURNS; turn++) {
        pthread_mutex_lock(&self->lock);
        while (self->turns == turn)
            pthread_cond_wait(&self->turned, &self->lock);
        pthread_mutex_unlock(&self->lock);
        for (size_t i = 0; i < CONNECTION_BURST; i++) {
            uint64_t draw = random_next(&self->random);
            struct workload_object *place = &kept[(draw >> 32) % CONNECTION_KEEPS];
            if (place->at != NULL)
                workload_put(*place);
            *place = workload_get(workload_server[draw & WORKLOAD_SIZE_MASK]);
        }
        pthread_mutex_lock(&self->lock);
        self->done = turn + 1;
        pthread_mutex_unlock(&self->lock);
        pthread_cond_broadcast(&self->turned);
    }
    for (size_t i = 0; i < CONNECTION_KEEPS; i++)
        if (kept[i].at != NULL)
            workload_put(kept[i]);
    return NULL;
}

static void idle_work(struct workload_thread *thread)
{
    size_t count = workload_scaled(thread, CONNECTIONS);
    struct connection *all = calloc(count, sizeof *all);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 << 10);
    if (all == NULL)
        workload_fail("calloc returned NULL");
    for (size_t i = 0; i < count; i++) {
        pthread_mutex_init(&all[i].lock, NULL);
        pthread_cond_init(&all[i].turned, NULL);
        all[i].random = random_next(&thread->random);
        if (pthread_create(&all[i].thread, &attributes, connection_main, &all[i]) != 0)
            workload_fail("no thread could be created");
    }
    for (unsigned turn = 0; turn < CONNECTION_TURNS; turn++)
        for (size_t i = 0; i < count; i++) {
            pthread_mutex_lock(&all[i].lock);
            all[i].turns = turn + 1;
            pthread_cond_broadcast(&all[i].turned);
            while (all[i].done <= turn)
                pthread_cond_wait(&all[i].turned, &all[i].lock);
            pthread_mutex_unlock(&all[i].lock);
        }
    for (size_t i = 0; i < count; i++) {
        pthread_join(all[i].thread, NULL);
        pthread_cond_destroy(&all[i].turned);
        pthread_mutex_destroy(&all[i].lock);
    }
    pthread_attr_destroy(&attributes);
    free(all);
    thread->operations = count * CONNECTION_TURNS * CONNECTION_BURST;
}

const struct workload workload_idle_threads = {.name = "idle_threads",
                                               .about =
                                                   "a thousand threads, each idle most of the time",
                                               .work = idle_work};
