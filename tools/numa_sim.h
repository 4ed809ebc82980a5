/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * numa_sim.h - how a program in a numa-sim guest talks to the simulator.
 *
 * A marker is an 8-byte no-operation with an unusual displacement: it does
 * nothing anywhere but under numa_sim_plugin.c, so a program may keep its
 * markers for good.  On other machines than x86_64 they are empty.
 */
#ifndef NEARHEAP_NUMA_SIM_H
#define NEARHEAP_NUMA_SIM_H

#define NUMA_SIM_MAGIC 0x4e480000 /* a displacement; its low 16 bits say what is meant */
#define NUMA_SIM_START 1
#define NUMA_SIM_STOP  2
#define NUMA_SIM_GIVEN 3
#define NUMA_SIM_OWN   4
#define NUMA_SIM_CHECK 0x100 /* plus a node */

#if defined __x86_64__
#define NUMA_SIM_MARK(what)                                                                        \
    __asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00; .long %c0" ::"i"(NUMA_SIM_MAGIC + (what))      \
                     : "memory")
#else
#define NUMA_SIM_MARK(what) (void)(what)
#endif

/* Accesses of all CPUs count from here on, or no more. */
static inline void numa_sim_start(void)
{
    NUMA_SIM_MARK(NUMA_SIM_START);
}

static inline void numa_sim_stop(void)
{
    NUMA_SIM_MARK(NUMA_SIM_STOP);
}

/* What the calling CPU's thread, which is pinned there, touches from here on is
 * where it is because of what the program does, whatever the allocator: objects
 * of another thread, or from before a move.  Misses there are counted apart,
 * until numa_sim_own. */
static inline void numa_sim_given(void)
{
    NUMA_SIM_MARK(NUMA_SIM_GIVEN);
}

static inline void numa_sim_own(void)
{
    NUMA_SIM_MARK(NUMA_SIM_OWN);
}

#endif
