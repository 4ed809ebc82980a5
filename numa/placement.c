/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * placement.c - see placement.h.
 */
#include "numa/placement.h"

#include "log.h"
#include "numa/kernel_nodes.h"
#include "numa/topology.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static NH_TOGETHER enum placement_policy policy; /* constant after boot */
static NH_TOGETHER struct node_mask spread;      /* of interleaved memory; constant after boot */
static NH_TOGETHER bool placing;                 /* constant after boot */
static NH_TOGETHER _Atomic bool refused;         /* relaxed: a call more or less does no harm */
NH_TOGETHER _Atomic int16_t placement_nodes[NH_HEAPS];
NH_STATIC(KERNEL_NODES_MAX <= INT16_MAX, "placement_nodes holds any node's number");

bool placement_list_is_sound(const char *chosen, struct text *problem)
{
    if (*chosen == '\0' || topology_parse_list(chosen, KERNEL_NODES_MAX, NULL, 0) >= 0)
        return true;
    text_add(problem, "NEARHEAP_INTERLEAVE_NODES=%s is not a list of nodes such as 0-1,3", chosen);
    return false;
}

static void spread_over(const char *chosen)
{
    const struct topology *topology = topology_now();
    int wanted[KERNEL_NODES_MAX];
    int count = topology_parse_list(chosen, KERNEL_NODES_MAX, wanted, KERNEL_NODES_MAX);
    int used = 0;
    for (int i = 0; i < count; i++)
        if (topology_has_node(topology, (size_t)wanted[i])) {
            node_mask_add(&spread, wanted[i]);
            used++;
        }
    for (unsigned slot = 0; used == 0 && slot < topology->slots; slot++)
        node_mask_add(&spread, topology->os_node[slot]);
    char buffer[NH_LINE_MAX];
    struct text problem = {.at = buffer, .room = sizeof buffer};
    if (!placement_list_is_sound(chosen, &problem))
        log_line(LOG_ERROR, "%s; using all nodes", buffer);
    else if (*chosen != '\0' && (used == 0 || used < count))
        log_line(LOG_WARNING,
                 "NEARHEAP_INTERLEAVE_NODES=%s: not all are nodes with memory; using %s", chosen,
                 used == 0 ? "all nodes" : "those that are");
}

void placement_boot(enum placement_policy wanted, const char *chosen)
{
    const struct topology *topology = topology_now();
    for (unsigned slot = 0; slot < topology->slots; slot++)
        placement_redirect(slot, slot);
    atomic_store_explicit(&placement_nodes[NH_HEAP_INTERLEAVED], -1, memory_order_relaxed);
    policy = wanted;
    placing = topology->slots > 1 && !topology->synthetic;
    spread_over(chosen);
}

enum placement_policy placement_policy(void)
{
    return policy;
}

bool placement_works(void)
{
    return placing && !atomic_load_explicit(&refused, memory_order_relaxed);
}

/* Nodes stay the same when the process's cpuset loses some and gets them back: else the kernel
 * would put others in their place, and leave them there.  False when the policy is not set; says so
 * the first time. */
static bool bind_pages(void *at, size_t bytes, int mode, const struct node_mask *nodes,
                       unsigned flags)
{
    int saved = errno;
    bool done = syscall(SYS_mbind, at, bytes, (unsigned long)mode | MPOL_F_STATIC_NODES,
                        nodes->word, (unsigned long)KERNEL_NODES_MAX, flags) == 0;
    int error = errno;
    errno = saved;
    /* Other errors are about this range, or a node that just left the cpuset. */
    if (!done && (error == EPERM || error == ENOSYS) &&
        !atomic_exchange_explicit(&refused, true, memory_order_relaxed))
        log_line(LOG_WARNING,
                 "the system refuses mbind (%s): memory lies where it is first touched",
                 error == EPERM ? "EPERM" : "ENOSYS");
    return done;
}

static bool set_policy(void *at, size_t bytes, unsigned slot, unsigned flags)
{
    if (slot == NH_HEAP_INTERLEAVED || policy == PLACEMENT_INTERLEAVE)
        return bind_pages(at, bytes, MPOL_INTERLEAVE, &spread, flags);
    struct node_mask one = {{0}};
    node_mask_add(&one, placement_node(slot));
    int mode = policy == PLACEMENT_BIND ? MPOL_BIND : MPOL_PREFERRED;
    return bind_pages(at, bytes, mode, &one, flags);
}

void placement_assign(void *at, size_t bytes, unsigned slot)
{
    if (placement_works())
        (void)set_policy(at, bytes, slot, 0);
}

void placement_redirect(unsigned slot, unsigned on)
{
    atomic_store_explicit(&placement_nodes[slot], (int16_t)topology_now()->os_node[on],
                          memory_order_relaxed);
}

bool placement_move(void *at, size_t bytes, unsigned slot)
{
    return placement_works() && set_policy(at, bytes, slot, MPOL_MF_MOVE | MPOL_MF_STRICT);
}

bool placement_query(void *const *pages, size_t count, int *nodes)
{
    int saved = errno;
    bool told = syscall(SYS_move_pages, 0, (unsigned long)count, pages, NULL, nodes, 0) == 0;
    errno = saved;
    return told;
}
