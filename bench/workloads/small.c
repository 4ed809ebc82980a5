/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * small.c - objects that live briefly or long, each freed by the thread that made it.
 */
#include "workload.h"

#include <string.h>

/* ---- small: a request's objects -------------------------------------------
 * A few dozen made together and freed together, newest first. */

#define SMALL_LIVE   64
#define SMALL_ROUNDS 100000

static void small_work(struct workload_thread *thread)
{
    struct workload_object live[SMALL_LIVE];
    size_t rounds = workload_scaled(thread, SMALL_ROUNDS);
    for (size_t round = 0; round < rounds; round++) {
        size_t draw = random_next(&thread->random);
        for (size_t i = 0; i < SMALL_LIVE; i++)
            live[i] = workload_get(workload_small[(draw + i) & WORKLOAD_SIZE_MASK]);
        for (size_t i = SMALL_LIVE; i-- > 0;)
            workload_put(live[i]);
    }
    thread->operations = rounds * SMALL_LIVE;
}

const struct workload workload_small_objects = {
    .name = "small", .about = "a request's small objects, freed newest first", .work = small_work};

/* ---- replace: a large live set ----------------------------------------------
 * A random object is freed and another takes its place, as in a store of records;
 * after the test programs called alloc-test. */

#define REPLACE_LIVE   100000
#define REPLACE_ROUNDS 1500000

static void replace_work(struct workload_thread *thread)
{
    struct workload_object *live = malloc(REPLACE_LIVE * sizeof *live);
    if (live == NULL)
        workload_fail("malloc returned NULL");
    for (size_t i = 0; i < REPLACE_LIVE; i++)
        live[i] = workload_get(workload_server[i & WORKLOAD_SIZE_MASK]);
    size_t rounds = workload_scaled(thread, REPLACE_ROUNDS);
    for (size_t round = 0; round < rounds; round++) {
        uint64_t draw = random_next(&thread->random);
        struct workload_object *place = &live[draw % REPLACE_LIVE];
        workload_put(*place);
        *place = workload_get(workload_server[draw >> 32 & WORKLOAD_SIZE_MASK]);
    }
    for (size_t i = 0; i < REPLACE_LIVE; i++)
        workload_put(live[i]);
    free(live);
    thread->operations = rounds + REPLACE_LIVE;
}

const struct workload workload_replace = {.name = "replace",
                                          .about =
                                              "a random object of a large live set is replaced",
                                          .work = replace_work};

/* ---- queue: first in, first out --------------------------------------------- */

#define QUEUE_LIVE   20000
#define QUEUE_ROUNDS 3000000

static void queue_work(struct workload_thread *thread)
{
    struct workload_object *live = calloc(QUEUE_LIVE, sizeof *live);
    if (live == NULL)
        workload_fail("calloc returned NULL");
    size_t rounds = workload_scaled(thread, QUEUE_ROUNDS);
    for (size_t round = 0; round < rounds; round++) {
        struct workload_object *place = &live[round % QUEUE_LIVE];
        if (place->at != NULL)
            workload_put(*place);
        *place = workload_get(workload_small[random_next(&thread->random) & WORKLOAD_SIZE_MASK]);
    }
    for (size_t i = 0; i < QUEUE_LIVE; i++)
        if (live[i].at != NULL)
            workload_put(live[i]);
    free(live);
    thread->operations = rounds;
}

const struct workload workload_queue = {
    .name = "queue", .about = "first in, first out, a long queue", .work = queue_work};

/* ---- calloc ------------------------------------------------------------------ */

#define CALLOC_LIVE   256
#define CALLOC_ROUNDS 8000

static void calloc_work(struct workload_thread *thread)
{
    struct workload_object live[CALLOC_LIVE];
    size_t rounds = workload_scaled(thread, CALLOC_ROUNDS);
    for (size_t round = 0; round < rounds; round++) {
        size_t draw = random_next(&thread->random);
        for (size_t i = 0; i < CALLOC_LIVE; i++) {
            /* Now and then a table. */
            size_t size = i % 64 == 0 ? (size_t)16384 << (draw >> 16 & 3)
                                      : workload_small[(draw + i) & WORKLOAD_SIZE_MASK];
            unsigned char *at = calloc(1, size);
            if (at == NULL)
                workload_fail("calloc returned NULL");
            for (size_t byte = 0; byte < size; byte += 509)
                if (at[byte] != 0)
                    workload_fail("calloc's memory is not zero");
            if (at[size - 1] != 0)
                workload_fail("calloc's memory is not zero");
            workload_tag(at, size);
            live[i] = (struct workload_object){at, size};
        }
        for (size_t i = 0; i < CALLOC_LIVE; i++)
            workload_put(live[(i * 37) % CALLOC_LIVE]);
    }
    thread->operations = rounds * CALLOC_LIVE;
}

const struct workload workload_calloc = {
    .name = "calloc", .about = "zeroed objects, now and then a table", .work = calloc_work};

/* ---- aligned ------------------------------------------------------------------ */

#define ALIGNED_LIVE   256
#define ALIGNED_ROUNDS 10000

static void aligned_work(struct workload_thread *thread)
{
    struct workload_object live[ALIGNED_LIVE];
    size_t rounds = workload_scaled(thread, ALIGNED_ROUNDS);
    for (size_t round = 0; round < rounds; round++) {
        size_t draw = random_next(&thread->random);
        for (size_t i = 0; i < ALIGNED_LIVE; i++) {
            /* Cache lines, vectors, and now and then a page. */
            size_t alignment = i % 32 == 0 ? 4096 : (size_t)32 << ((draw >> (i % 48)) & 3);
            size_t size = i % 32 == 0 ? 4096 : workload_small[(draw + i) & WORKLOAD_SIZE_MASK];
            void *at;
            if (posix_memalign(&at, alignment, size) != 0)
                workload_fail("posix_memalign failed");
            if (((uintptr_t)at & (alignment - 1)) != 0)
                workload_fail("posix_memalign's memory is not aligned");
            workload_tag(at, size);
            live[i] = (struct workload_object){at, size};
        }
        for (size_t i = 0; i < ALIGNED_LIVE; i++)
            workload_put(live[(i * 37) % ALIGNED_LIVE]);
    }
    thread->operations = rounds * ALIGNED_LIVE;
}

const struct workload workload_aligned = {
    .name = "aligned", .about = "objects aligned to 32 bytes up to a page", .work = aligned_work};
