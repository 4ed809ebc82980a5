/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * sim_producer_consumer.c - objects are made on one node and freed on another,
 * as a server's requests and replies are.
 *
 * On every pair of CPUs of two nodes a producer writes objects and a consumer
 * reads and frees them; the reading crosses nodes whatever the allocator does,
 * and is counted apart.
 * Both also have private objects that they replace and rewrite all the time.
 * Memory that an allocator hands to a thread because it was freed there, not
 * because it is near, makes the private work cross nodes too.
 *
 *     sim_producer_consumer [ROUNDS]
 */
#include "sim.h"

#include <semaphore.h>

#define BATCH   32
#define BATCHES 4    /* in the queue */
#define PRIVATE 2048 /* objects of a thread */
#define REPLACE 32   /* of them in a round, and */
#define REWRITE 256  /* so many worked on */
#define LARGE   ((size_t)64 << 10)

struct pair {
    sem_t filled, emptied;
    uint64_t *queue[BATCHES][BATCH];
    pthread_t producer, consumer;
    unsigned producer_cpu, consumer_cpu;
};

static int rounds = 250;

static size_t server_size(uint64_t *random)
{
    return random_next(random) % 256 ? sim_size(random, 16, 4096) : LARGE;
}

static void private_work(uint64_t **objects, uint64_t *random)
{
    for (int i = 0; i < REPLACE; i++) {
        uint64_t **object = &objects[random_next(random) % PRIVATE];
        if (*object)
            sim_delete(*object);
        *object = sim_new(server_size(random), (uint32_t)*random);
    }
    for (int i = 0; i < REWRITE; i++) {
        uint64_t *object = objects[random_next(random) % PRIVATE];
        if (object)
            sim_rewrite(object, (uint32_t)*random);
    }
}

static uint64_t **start(unsigned cpu, uint64_t *random)
{
    sim_move_to(cpu);
    *random = (uint64_t)cpu + 88172645463325252U;
    uint64_t **objects = calloc(PRIVATE, sizeof *objects);
    if (!objects)
        sim_fail("calloc");
    return objects;
}

static void finish(uint64_t **objects)
{
    for (int i = 0; i < PRIVATE; i++)
        if (objects[i])
            sim_delete(objects[i]);
    free(objects);
}

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore))
        ;
}

static void *produce(void *argument)
{
    struct pair *pair = argument;
    uint64_t random, **objects = start(pair->producer_cpu, &random);

    for (int round = 0; round < rounds; round++) {
        wait_for(&pair->emptied);
        for (int i = 0; i < BATCH; i++)
            pair->queue[round % BATCHES][i] = sim_new(server_size(&random), (uint32_t)random);
        sem_post(&pair->filled);
        private_work(objects, &random);
    }
    finish(objects);
    return NULL;
}

static void *consume(void *argument)
{
    struct pair *pair = argument;
    uint64_t random, **objects = start(pair->consumer_cpu, &random);

    for (int round = 0; round < rounds; round++) {
        wait_for(&pair->filled);
        for (int i = 0; i < BATCH; i++)
            sim_delete_given(pair->queue[round % BATCHES][i]);
        sem_post(&pair->emptied);
        private_work(objects, &random);
    }
    finish(objects);
    return NULL;
}

int main(int argc, char **argv)
{
    static struct pair pairs[SIM_CPUS_MAX / 2];
    int count;

    if (argc > 1)
        rounds = atoi(argv[1]);
    sim_find_cpus();
    count = sim_cpu_count > 1 ? sim_cpu_count / 2 : 1;
    numa_sim_start();
    for (int i = 0; i < count; i++) {
        struct pair *pair = &pairs[i];
        pair->producer_cpu = sim_cpus[2 * i];
        pair->consumer_cpu = sim_cpus[(2 * i + 1) % sim_cpu_count];
        sem_init(&pair->filled, 0, 0);
        sem_init(&pair->emptied, 0, BATCHES);
        if (pthread_create(&pair->producer, NULL, produce, pair) ||
            pthread_create(&pair->consumer, NULL, consume, pair))
            sim_fail("pthread_create");
    }
    for (int i = 0; i < count; i++) {
        pthread_join(pairs[i].producer, NULL);
        pthread_join(pairs[i].consumer, NULL);
    }
    numa_sim_stop();
    printf("%d pairs passed %d objects each\n", count, rounds * BATCH);
    return 0;
}
