/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * topology.h - the nodes of the machine, as the engine counts them: slots.
 *
 * A slot is a heap's number, 0 to slots - 1.  How many there are is fixed at
 * boot, from the kernel alone; hwloc completes the picture later.  A topology
 * does not change once it is published; readers take the pointer and keep it.
 */
#ifndef NH_TOPOLOGY_H
#define NH_TOPOLOGY_H

#include "base.h"
#include "limits.h"

#include <stdatomic.h>

#define TOPOLOGY_SLOT_UNKNOWN 0xff
/* Distances are relative to 10, a node's own memory, as in ACPI's SLIT. */
#define TOPOLOGY_LOCAL   10
#define TOPOLOGY_UNKNOWN 20

struct topology {
    unsigned slots; /* 1 to NH_NODES_MAX; the same in every topology of a process */
    unsigned cpus;  /* of the machine; synthetic only */
    unsigned pus;   /* synthetic processors, 0 before they are known; synthetic only */
    bool synthetic;
    bool discovered;           /* by hwloc */
    int os_node[NH_NODES_MAX]; /* the system's number of a slot's node; ascending */
    /* By the system's number of a CPU: the slot of its node; or TOPOLOGY_SLOT_UNKNOWN, also where
     * that is no slot (current_slot).  Not used with one slot. */
    uint8_t slot_of_cpu[NH_CPUS_MAX];
    uint8_t slot_of_pu[NH_CPUS_MAX]; /* synthetic only */
    /* From each slot: the distance of each other, and all slots by rising
     * distance, itself first; equally far ones by slot number, going around,
     * so that neighbours do not all lean on the same node. */
    uint16_t distance[NH_NODES_MAX][NH_NODES_MAX];
    uint8_t nearest[NH_NODES_MAX][NH_NODES_MAX];
};

/* Fixes the slots, from the kernel or, for a synthetic topology, from its
 * description `spec` (the value of NEARHEAP_TOPOLOGY, "" for the machine).
 * Before any heap exists and by one thread; without malloc, library or lock. */
void topology_boot(const char *spec);

/* The topology as known now; boot has been called.  An acquire load; pairs
 * with the publication in topology_boot and topology_discover. */
extern _Atomic(const struct topology *) topology_published __attribute__((visibility("hidden")));
NH_INLINE const struct topology *topology_now(void)
{
    return atomic_load_explicit(&topology_published, memory_order_acquire);
}

/* The slot of the node that the system numbers so; `slots` when none is. */
unsigned topology_slot_of_node(const struct topology *topology, size_t node);
NH_INLINE bool topology_has_node(const struct topology *topology, size_t node)
{
    return topology_slot_of_node(topology, node) < topology->slots;
}

/* Counts publications, and changes of which nodes may be used (usable.h): who
 * chose a slot by an older count chooses anew.  The acquire pairs with the release
 * of topology_count_change: what was counted is seen. */
extern _Atomic uint32_t topology_change_count __attribute__((visibility("hidden")));
NH_INLINE uint32_t topology_changes(void)
{
    return atomic_load_explicit(&topology_change_count, memory_order_acquire);
}
void topology_count_change(void);

/* Asks hwloc, once, and publishes what it says.  Calls malloc and takes a
 * millisecond or more: only where the caller may wait, with no lock of the
 * engine held.  A second caller meanwhile returns at once.  True when hwloc's
 * topology is published. */
bool topology_discover(const char *spec);

/* ---- Parts, tested alone ---- */

/* Whether `spec` is the machine's, or describes a synthetic one as far as can be told without
 * hwloc; if not, what is wrong is added to `problem`. */
struct text;
bool topology_spec_is_sound(const char *spec, struct text *problem);

#define TOPOLOGY_SYNTHETIC_PREFIX "synthetic:"

/* "0-3,8" as the kernel writes lists: the numbers below `most` are stored in
 * rising order, at most `room` of them; returns how many there are, or -1 when
 * the text is no such list. */
int topology_parse_list(const char *text, int most, int *numbers, int room);

/* NUMA nodes in an hwloc synthetic description, 0 if it cannot tell, or has more processors
 * or larger indexes than NH_CPUS_MAX. */
unsigned topology_synthetic_nodes(const char *description);

/* Fills nearest from slots and distance. */
void topology_sort_nearest(struct topology *topology);

/* topology_hwloc.c: fills `out`, whose slots and os_node are set, with what
 * hwloc knows; false when hwloc is not there or refuses `description` (NULL for
 * the machine). */
bool topology_ask_hwloc(const char *description, struct topology *out);

#endif
