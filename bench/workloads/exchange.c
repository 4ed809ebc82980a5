/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * exchange.c - objects that another thread frees.
 */
#include "workload.h"

#include <pthread.h>
#include <string.h>

static void batch_put(const struct workload_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        workload_put(batch->objects[i]);
}

static void batch_get(struct workload_batch *batch, uint64_t *random, const uint32_t *sizes)
{
    size_t draw = random_next(random);
    for (size_t i = 0; i < WORKLOAD_BATCH; i++)
        batch->objects[i] = workload_get(sizes[(draw + i) & WORKLOAD_SIZE_MASK]);
    batch->count = WORKLOAD_BATCH;
}

/* ---- pairs and all to all -------------------------------------------------
 * Asymmetric: some threads only allocate, others only free; after the programs
 * called xmalloc-test.  A thread without a partner is both in turn. */

#define PAIRS_BATCHES 30000

static struct workload_channel *channels[WORKLOAD_THREADS_MAX / 2];
static unsigned channel_count;
static unsigned givers; /* of each channel */

static void channels_open(unsigned count, unsigned givers_each)
{
    channel_count = count;
    givers = givers_each;
    for (unsigned i = 0; i < count; i++)
        channels[i] = workload_channel_new();
}

static void channels_delete(unsigned threads)
{
    (void)threads;
    for (unsigned i = 0; i < channel_count; i++)
        workload_channel_delete(channels[i]);
}

static void pairs_prepare(unsigned threads, double scale)
{
    (void)scale;
    channels_open(threads / 2, 1);
}

static void all_to_all_prepare(unsigned threads, double scale)
{
    (void)scale;
    channels_open(threads < 2 ? 0 : 1, threads / 2);
}

/* Even threads give, odd ones take; with an odd number the last works alone. */
static void giver_or_taker(struct workload_thread *thread)
{
    struct workload_batch batch;
    size_t batches = workload_scaled(thread, PAIRS_BATCHES);
    if (thread->index == thread->threads - 1 && thread->index % 2 == 0) {
        for (size_t i = 0; i < batches; i++) {
            batch_get(&batch, &thread->random, workload_small);
            batch_put(&batch);
        }
        thread->operations = batches * WORKLOAD_BATCH;
        return;
    }
    struct workload_channel *channel = channels[thread->index / 2 % channel_count];
    if (thread->index % 2 == 0) {
        for (size_t i = 0; i < batches; i++) {
            batch_get(&batch, &thread->random, workload_small);
            workload_channel_give(channel, &batch);
        }
        workload_channel_close(channel, givers);
        return;
    }
    while (workload_channel_take(channel, &batch)) {
        batch_put(&batch);
        thread->operations += batch.count;
    }
}

const struct workload workload_pairs = {.name = "pairs",
                                        .about = "producers, each with a consumer that frees",
                                        .prepare = pairs_prepare,
                                        .work = giver_or_taker,
                                        .finish = channels_delete};

const struct workload workload_all_to_all = {.name = "all_to_all",
                                             .about = "producers and consumers on one queue",
                                             .prepare = all_to_all_prepare,
                                             .work = giver_or_taker,
                                             .finish = channels_delete};

/* ---- batches ----------------------------------------------------------------
 * Each thread makes batches of mixed sizes and frees those of the thread before it
 * in the ring, some newest first, some oldest first, some in no order; after the
 * programs called sh6bench and sh8bench. */

#define BATCHES_ROUNDS 20000
#define BATCHES_LEAD   8 /* under way per thread: fewer than a channel holds */

static struct workload_channel *ring[WORKLOAD_THREADS_MAX];

static void batches_prepare(unsigned threads, double scale)
{
    (void)scale;
    for (unsigned i = 0; i < threads; i++)
        ring[i] = workload_channel_new();
}

static void batches_finish(unsigned threads)
{
    for (unsigned i = 0; i < threads; i++)
        workload_channel_delete(ring[i]);
}

static void put_in_order(struct workload_batch *batch, unsigned order, uint64_t *random)
{
    if (order == 0)
        batch_put(batch);
    else if (order == 1)
        for (size_t i = batch->count; i-- > 0;)
            workload_put(batch->objects[i]);
    else
        for (size_t left = batch->count; left > 0; left--) {
            size_t at = random_next(random) % left;
            workload_put(batch->objects[at]);
            batch->objects[at] = batch->objects[left - 1];
        }
}

static void batches_work(struct workload_thread *thread)
{
    struct workload_batch batch;
    struct workload_channel *to = ring[(thread->index + 1) % thread->threads];
    struct workload_channel *from = ring[thread->index];
    size_t rounds = workload_scaled(thread, BATCHES_ROUNDS);
    for (size_t round = 0; round < rounds + BATCHES_LEAD; round++) {
        if (round < rounds) {
            batch_get(&batch, &thread->random, workload_server);
            workload_channel_give(to, &batch);
        }
        if (round >= BATCHES_LEAD && workload_channel_take(from, &batch)) {
            put_in_order(&batch, (unsigned)(round % 3), &thread->random);
            thread->operations += batch.count;
        }
    }
}

const struct workload workload_batches = {
    .name = "batches",
    .about = "batches of mixed sizes that the next thread frees in some order",
    .prepare = batches_prepare,
    .work = batches_work,
    .finish = batches_finish};

/* ---- succession ---------------------------------------------------------------
 * A server's thread replaces random objects, then leaves all it has to a new thread
 * and exits.  After P. Larson and M. Krishnan, "Memory allocation for long-running
 * server applications", ISMM 1998. */

#define SUCCESSION_LIVE        4000
#define SUCCESSION_ROUNDS      100000
#define SUCCESSION_GENERATIONS 20

struct succession {
    struct workload_object live[SUCCESSION_LIVE];
    uint64_t random;
    size_t rounds;
};

static void *succession_thread(void *argument)
{
    struct succession *set = argument;
    for (size_t round = 0; round < set->rounds; round++) {
        uint64_t draw = random_next(&set->random);
        struct workload_object *place = &set->live[draw % SUCCESSION_LIVE];
        workload_put(*place);
        *place = workload_get(workload_small[draw >> 32 & WORKLOAD_SIZE_MASK]);
    }
    return NULL;
}

static void succession_work(struct workload_thread *thread)
{
    struct succession *set = malloc(sizeof *set);
    if (set == NULL)
        workload_fail("malloc returned NULL");
    for (size_t i = 0; i < SUCCESSION_LIVE; i++)
        set->live[i] = workload_get(workload_small[i & WORKLOAD_SIZE_MASK]);
    set->random = thread->random;
    set->rounds = workload_scaled(thread, SUCCESSION_ROUNDS);
    for (unsigned i = 0; i < SUCCESSION_GENERATIONS; i++) {
        pthread_t successor;
        if (pthread_create(&successor, NULL, succession_thread, set) != 0)
            workload_fail("no thread could be created");
        pthread_join(successor, NULL);
    }
    thread->operations = SUCCESSION_GENERATIONS * set->rounds + SUCCESSION_LIVE;
    for (size_t i = 0; i < SUCCESSION_LIVE; i++)
        workload_put(set->live[i]);
    free(set);
}

const struct workload workload_succession = {
    .name = "succession",
    .about = "server threads leave their objects to successors and exit",
    .work = succession_work};
