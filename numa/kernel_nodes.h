/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * kernel_nodes.h - which nodes the kernel lets this process have memory of.
 */
#ifndef NH_KERNEL_NODES_H
#define NH_KERNEL_NODES_H

/* Stores the nodes' numbers in rising order, at most `room`; returns how many
 * there are, at least 1.  A system call or two; no malloc; errno is kept. */
int kernel_nodes(int *nodes, int room);

#endif
