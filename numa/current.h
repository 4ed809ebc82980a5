/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * current.h - where the calling thread runs now.
 *
 * No function here allocates, locks or changes errno.
 */
#ifndef NH_CURRENT_H
#define NH_CURRENT_H

#include "numa/topology.h"

/* Whether the C library registered an area for the kernel's restartable sequences
 * (struct rseq of <linux/rseq.h>) for this thread, as it does for all or none; and
 * where areas lie, counted from the thread pointer. */
bool current_rseq_area(ptrdiff_t *offset);

/* The CPU that a registered thread runs on, as the kernel last wrote into its area
 * at `offset`: a load. */
NH_INLINE uint32_t current_cpu(ptrdiff_t offset)
{
    return *(
        const volatile uint32_t *)(const volatile void *)((const char *)__builtin_thread_pointer() +
                                                          offset);
}

/* The heap slot of the CPU the thread runs on, and that CPU.  thread_number
 * tells threads apart: a synthetic topology with more processors than the
 * machine deals them out among threads too. */
unsigned current_slot(const struct topology *topology, uint32_t thread_number, uint32_t *cpu);

#endif
