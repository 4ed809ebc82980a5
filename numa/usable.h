/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * usable.h - which slots' nodes have memory for this process now.
 *
 * The slots are fixed when the process begins; but a cpuset may exclude a
 * node later or admit it, and memory may be plugged in or taken out.  For each
 * slot this keeps the nearest one that has memory: most of the time itself.
 * Threads on a node without memory use that one's heap.
 *
 * The entries change one by one, atomically and in place, so that readers need
 * neither a lock nor a grace period.
 */
#ifndef NH_USABLE_H
#define NH_USABLE_H

#include "base.h"

/* Asks the kernel and renews the entries.  True if one changed, which counts as
 * a change of the topology.  After
 * topology_boot; a system call; no malloc, no lock; errno is kept. */
bool usable_refresh(void);

/* The nearest slot with memory; `slot` itself if none has any. */
unsigned usable_slot(unsigned slot);

/* Slots that have memory, at least 1. */
unsigned usable_count(void);

#endif
