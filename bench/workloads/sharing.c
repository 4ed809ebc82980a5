/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * sharing.c - false sharing: objects of different threads on one cache line.  After
 * E. Berger, K. McKinley, R. Blumofe and P. Wilson, "Hoard: a scalable memory
 * allocator for multithreaded applications", ASPLOS 2000 (cache-thrash and
 * cache-scratch).
 */
#include "workload.h"

#define SHARING_SIZE   8
#define SHARING_WRITES 1000
#define SHARING_ROUNDS 30000

static struct workload_object handed[WORKLOAD_THREADS_MAX];

static void write_often(struct workload_object object)
{
    volatile uint64_t *word = object.at;
    for (unsigned i = 0; i < SHARING_WRITES; i++)
        *word += 1;
    *word -= SHARING_WRITES;
}

static void sharing_rounds(struct workload_thread *thread)
{
    size_t rounds = workload_scaled(thread, SHARING_ROUNDS);
    for (size_t round = 0; round < rounds; round++) {
        struct workload_object object = workload_get(SHARING_SIZE);
        write_often(object);
        workload_put(object);
    }
    thread->operations = rounds;
}

const struct workload workload_sharing_active = {
    .name = "sharing_active",
    .about = "threads write small objects of their own: are two on one cache line?",
    .work = sharing_rounds};

/* Objects that one thread made side by side are freed by others, who then must not be
 * given them again by turns. */
static void passive_prepare(unsigned threads, double scale)
{
    (void)scale;
    for (unsigned i = 0; i < threads; i++)
        handed[i] = workload_get(SHARING_SIZE);
}

static void passive_work(struct workload_thread *thread)
{
    workload_put(handed[thread->index]);
    sharing_rounds(thread);
}

const struct workload workload_sharing_passive = {
    .name = "sharing_passive",
    .about = "the same after each freed one of neighbouring objects",
    .prepare = passive_prepare,
    .work = passive_work};
