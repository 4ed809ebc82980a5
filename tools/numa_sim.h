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
#define NUMA_SIM_CHECK 0x100 /* plus a node */

#if defined __x86_64__
/* Accesses of all CPUs count from here on, or no more. */
static inline void numa_sim_start(void)
{
    __asm__ volatile(
        ".byte 0x0f, 0x1f, 0x84, 0x00; .long %c0" ::"i"(NUMA_SIM_MAGIC + NUMA_SIM_START)
        : "memory");
}

static inline void numa_sim_stop(void)
{
    __asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00; .long %c0" ::"i"(NUMA_SIM_MAGIC + NUMA_SIM_STOP)
                     : "memory");
}
#else
static inline void numa_sim_start(void)
{
}

static inline void numa_sim_stop(void)
{
}
#endif

#endif
