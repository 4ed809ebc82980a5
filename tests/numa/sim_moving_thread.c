/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * sim_moving_thread.c - threads with a working set of small objects move to
 * another node, and replace the set little by little.
 *
 * The old objects stay where they are; that is the price of the move, and what
 * is done with them is counted apart.  The new ones, which get most of the work,
 * should be near: not the old ones' memory, nor a cache's that came along with
 * the thread.
 *
 *     sim_moving_thread [STEPS]
 */
#include "sim.h"

#define OBJECTS 6000 /* of each thread */
#define REPLACE 100  /* of them in a step */
#define REWRITE 4    /* times that a new object is written in its step */
#define SAMPLED 100  /* others that are worked on in a step */

struct thread {
    pthread_t thread;
    int at;
};

static pthread_barrier_t everyone;
static int moves, steps = 200;

static void *live(void *argument)
{
    const struct thread *self = argument;
    uint64_t random = (uint64_t)self->at + 88172645463325252U;
    uint64_t *objects[OBJECTS];

    sim_move_to(sim_cpus[self->at]);
    for (int i = 0; i < OBJECTS; i++)
        objects[i] = sim_new(sim_size(&random, 16, 1024), (uint32_t)random);
    for (int move = 1; move <= moves; move++) {
        pthread_barrier_wait(&everyone);
        sim_move_to(sim_cpus[(self->at + move) % sim_cpu_count]);
        for (int step = 0; step < steps; step++) {
            for (int i = 0; i < REPLACE; i++) {
                /* In turn, so that the set is new after OBJECTS / REPLACE steps. */
                uint64_t **object = &objects[(step * REPLACE + i) % OBJECTS];
                if (step * REPLACE < OBJECTS)
                    sim_delete_given(*object);
                else
                    sim_delete(*object);
                *object = sim_new(sim_size(&random, 16, 1024), (uint32_t)random);
                for (int again = 1; again < REWRITE; again++)
                    sim_rewrite(*object, (uint32_t)random + (uint32_t)again);
            }
            for (int i = 0; i < SAMPLED; i++) {
                size_t which = random_next(&random) % OBJECTS;
                if ((int)which >= (step + 1) * REPLACE)
                    numa_sim_given();
                sim_rewrite(objects[which], (uint32_t)random);
                numa_sim_own();
            }
        }
    }
    for (int i = 0; i < OBJECTS; i++)
        sim_delete(objects[i]);
    return NULL;
}

int main(int argc, char **argv)
{
    static struct thread threads[SIM_CPUS_MAX];

    if (argc > 1)
        steps = atoi(argv[1]);
    sim_find_cpus();
    moves = sim_cpu_count > 4 ? 4 : sim_cpu_count;
    if (pthread_barrier_init(&everyone, NULL, (unsigned)sim_cpu_count))
        sim_fail("pthread_barrier_init");
    numa_sim_start();
    for (int i = 0; i < sim_cpu_count; i++) {
        threads[i].at = i;
        if (pthread_create(&threads[i].thread, NULL, live, &threads[i]))
            sim_fail("pthread_create");
    }
    for (int i = 0; i < sim_cpu_count; i++)
        pthread_join(threads[i].thread, NULL);
    numa_sim_stop();
    printf("%d threads moved %d times, %d steps each time\n", sim_cpu_count, moves, steps);
    return 0;
}
