/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * usable.c - see usable.h.
 */
#include "numa/usable.h"

#include "log.h"
#include "numa/kernel_nodes.h"
#include "numa/topology.h"

#include <stdatomic.h>

/* The slot to use xor the slot, so that zero, the beginning, is itself.
 * Relaxed: a reader acts on the one value it reads. */
static _Atomic uint8_t instead[NH_NODES_MAX];

unsigned usable_slot(unsigned slot)
{
    return slot ^ atomic_load_explicit(&instead[slot], memory_order_relaxed);
}

unsigned usable_count(void)
{
    unsigned count = 0;
    for (unsigned slot = 0; slot < topology_now()->slots; slot++)
        count += usable_slot(slot) == slot;
    return count == 0 ? 1 : count;
}

bool usable_refresh(void)
{
    const struct topology *topology = topology_now();
    struct node_mask allowed;
    if (topology->synthetic || topology->slots == 1 || !kernel_nodes_allowed(&allowed))
        return false;
    bool changed = false;
    for (unsigned slot = 0; slot < topology->slots; slot++) {
        unsigned use = slot;
        for (unsigned i = 0; i < topology->slots; i++) {
            unsigned near = topology->nearest[slot][i];
            if (node_mask_has(&allowed, topology->os_node[near])) {
                use = near;
                break;
            }
        }
        uint8_t now = (uint8_t)(slot ^ use);
        if (atomic_exchange_explicit(&instead[slot], now, memory_order_relaxed) != now) {
            changed = true;
            log_line(LOG_INFO, "threads on node %d use the memory of node %d now",
                     topology->os_node[slot], topology->os_node[use]);
        }
    }
    if (changed)
        topology_count_change();
    return changed;
}
