/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * sim.h - what the workloads for tools/numa-sim share: CPUs in an order that
 * changes nodes at every step, and objects that know what they hold.
 */
#ifndef NEARHEAP_TESTS_SIM_H
#define NEARHEAP_TESTS_SIM_H

#include "../../bench/random.h"
#include "../../tools/numa_sim.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SIM_CPUS_MAX 64

static unsigned sim_cpus[SIM_CPUS_MAX];
static int sim_cpu_count;

static _Noreturn inline void sim_fail(const char *what)
{
    fprintf(stderr, "FAILED: %s\n", what);
    abort();
}

static inline void sim_move_to(unsigned cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set))
        sim_fail("sched_setaffinity");
}

/* Fills sim_cpus: the first CPU of each node, the second of each, and so on. */
static inline void sim_find_cpus(void)
{
    static unsigned cpus[SIM_CPUS_MAX];
    static unsigned ranks[SIM_CPUS_MAX], seen_of_node[1024];
    cpu_set_t all;
    int found = 0;

    if (sched_getaffinity(0, sizeof all, &all))
        sim_fail("sched_getaffinity");
    for (unsigned cpu = 0; cpu < CPU_SETSIZE && found < SIM_CPUS_MAX; cpu++) {
        unsigned node = 0;
        if (!CPU_ISSET(cpu, &all))
            continue;
        sim_move_to(cpu);
        if (getcpu(NULL, &node) || node >= 1024)
            sim_fail("getcpu");
        ranks[found] = seen_of_node[node]++;
        cpus[found++] = cpu;
    }
    sched_setaffinity(0, sizeof all, &all);
    for (unsigned rank = 0; sim_cpu_count < found; rank++)
        for (int i = 0; i < found; i++)
            if (ranks[i] == rank)
                sim_cpus[sim_cpu_count++] = cpus[i];
}

/* Between the limits; small ones as much more often as they are smaller. */
static inline size_t sim_size(uint64_t *state, size_t least, size_t most)
{
    size_t range = most;
    while (range > 2 * least && random_next(state) % 3)
        range /= 2;
    return least + random_next(state) % (range - least + 1);
}

/* The first word says how many follow and what they hold. */
static inline void sim_write(uint64_t *object, size_t size, uint64_t seed)
{
    size_t words = size / sizeof *object;
    object[0] = seed << 32 | words;
    for (size_t i = 1; i < words; i++)
        object[i] = object[0] ^ i;
}

static inline void sim_verify(const uint64_t *object)
{
    size_t words = (uint32_t)object[0];
    for (size_t i = 1; i < words; i++)
        if (object[i] != (object[0] ^ i))
            sim_fail("an object lost what it held");
}

static inline uint64_t *sim_new(size_t size, uint64_t seed)
{
    uint64_t *object = malloc(size);
    if (!object)
        sim_fail("malloc");
    sim_write(object, size, seed);
    return object;
}

static inline void sim_delete(uint64_t *object)
{
    sim_verify(object);
    free(object);
}

/* Of another node's object, which the program chose to read here. */
static inline void sim_delete_given(uint64_t *object)
{
    numa_sim_given();
    sim_verify(object);
    numa_sim_own();
    free(object);
}

static inline void sim_rewrite(uint64_t *object, uint64_t seed)
{
    sim_verify(object);
    sim_write(object, (uint32_t)object[0] * sizeof *object, seed);
}

#endif
