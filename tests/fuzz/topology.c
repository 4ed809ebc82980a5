/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * topology.c - any text as a list of nodes, as the description of a topology, by hwloc too,
 * and as the kernel's files on memory.
 */
#include "fuzz.h"

#include "numa/room.h"
#include "numa/topology.h"

#include <string.h>

#define TEXT_MOST 2047
#define LIST_ROOM 64
#define PATH_ROOM 64

static void parse_list(const char *text)
{
    int numbers[LIST_ROOM + 1];
    numbers[LIST_ROOM] = -77;
    int found = topology_parse_list(text, NH_CPUS_MAX, numbers, LIST_ROOM);
    FUZZ_CHECK(found >= -1 && found <= NH_CPUS_MAX);
    FUZZ_CHECK(numbers[LIST_ROOM] == -77);
    for (int i = 0; i < found && i < LIST_ROOM; i++)
        FUZZ_CHECK(numbers[i] >= (i == 0 ? 0 : numbers[i - 1] + 1) && numbers[i] < NH_CPUS_MAX);
}

/* What hwloc makes of a description that has been taken for one. */
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

static void parse_memory(const char *text)
{
    struct room room = {0};
    if (room_parse_node(text, &room))
        FUZZ_CHECK(room_watermark(&room) <= room.total);
    char path[PATH_ROOM + 1];
    path[PATH_ROOM] = 77;
    if (room_parse_cgroup(text, path, PATH_ROOM))
        FUZZ_CHECK(strlen(path) < PATH_ROOM && strchr(path, '\n') == NULL &&
                   strstr(text, path) != NULL);
    FUZZ_CHECK(path[PATH_ROOM] == 77);
    FUZZ_CHECK((*text >= '0' && *text <= '9') || room_parse_number(text) == ROOM_BOUNDLESS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_MOST + 1];
    fuzz_text(data, size, text, TEXT_MOST);
    parse_list(text);
    parse_memory(text);
    unsigned nodes = topology_synthetic_nodes(text);
    FUZZ_CHECK(nodes <= NH_NODES_MAX);
    if (nodes != 0)
        ask_hwloc(text, nodes);
    return 0;
}
