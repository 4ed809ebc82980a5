/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * kernel_nodes.h - nodes as the kernel numbers them: sets of them, and which
 * ones this process may have memory of.
 *
 * A system call or two each; no malloc, no lock; errno is kept.
 */
#ifndef NH_KERNEL_NODES_H
#define NH_KERNEL_NODES_H

#include "base.h"

/* The kernel's largest node number plus one, in any configuration. */
#define KERNEL_NODES_MAX 1024
#define NODE_MASK_BITS   (8 * sizeof(unsigned long))

/* As the system calls take it. */
struct node_mask {
    unsigned long word[KERNEL_NODES_MAX / NODE_MASK_BITS];
};

NH_INLINE void node_mask_add(struct node_mask *mask, int node)
{
    mask->word[(size_t)node / NODE_MASK_BITS] |= 1UL << (size_t)node % NODE_MASK_BITS;
}

NH_INLINE bool node_mask_has(const struct node_mask *mask, int node)
{
    return (mask->word[(size_t)node / NODE_MASK_BITS] >> (size_t)node % NODE_MASK_BITS & 1) != 0;
}

/* The nodes that have memory which the process may use now (its cpuset may
 * change); false when the kernel does not tell. */
bool kernel_nodes_allowed(struct node_mask *allowed);

/* The nodes that have, or may come to have, memory for the process: those
 * allowed now, those that have memory but are not allowed, and on a machine
 * with several of them those that may be plugged in.  Stores their numbers in
 * rising order, at most `room`; returns how many there are, at least 1. */
int kernel_nodes(int *nodes, int room);

#endif
