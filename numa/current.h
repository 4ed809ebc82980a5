/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * current.h - where the calling thread runs now.
 *
 * Neither function allocates, locks or changes errno.
 */
#ifndef NH_CURRENT_H
#define NH_CURRENT_H

#include "numa/topology.h"

/* The kernel's own record of the CPU the thread runs on, updated whenever the
 * thread moves (the cpu_id of its restartable-sequences area); reading it
 * costs a load.  NULL where the C library or the kernel has none; it is the
 * calling thread's alone and valid until the thread ends. */
const volatile uint32_t *current_cpu_watch(void);

/* The heap slot of the CPU the thread runs on, and that CPU.  thread_number
 * tells threads apart: a synthetic topology with more processors than the
 * machine deals them out among threads too. */
unsigned current_slot(const struct topology *topology, uint32_t thread_number, uint32_t *cpu);

#endif
