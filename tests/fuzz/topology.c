/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * topology.c - any text as the description of a topology: what hwloc makes of one that has been
 * taken for such.
 */
#include "fuzz.h"

#include "numa/topology.h"

#include <string.h>

#define TEXT_MOST 2047

static void ask_hwloc(const char *description, unsigned nodes)
{
    static struct topology topology;
    topology = (struct topology){.slots = nodes, .synthetic = true, .cpus = 2};
    for (unsigned slot = 0; slot < nodes; slot++)
        topology.os_node[slot] = (int)slot;
    if (!topology_ask_hwloc(description, &topology))
        return;
    FUZZ_CHECK(topology.slots == nodes && topology.pus <= NH_CPUS_MAX);
    for (unsigned pu = 0; pu < topology.pus; pu++)
        FUZZ_CHECK(topology.slot_of_pu[pu] < nodes);
    topology_sort_nearest(&topology);
    for (unsigned from = 0; from < nodes; from++) {
        uint64_t seen = 0;
        FUZZ_CHECK(topology.nearest[from][0] == from);
        for (unsigned i = 0; i < nodes; i++)
            seen |= UINT64_C(1) << topology.nearest[from][i];
        FUZZ_CHECK(seen == UINT64_MAX >> (64 - nodes));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_exact_text(data, size, TEXT_MOST);
    unsigned nodes = topology_synthetic_nodes(text);
    FUZZ_CHECK(nodes <= NH_NODES_MAX);
    if (nodes != 0)
        ask_hwloc(text, nodes);
    free(text);
    return 0;
}
