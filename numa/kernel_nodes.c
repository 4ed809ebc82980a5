/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * kernel_nodes.c - see kernel_nodes.h.
 */
#include "numa/kernel_nodes.h"

#include "numa/read_file.h"
#include "numa/topology.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NODE_FILES "/sys/devices/system/node/"

/* Virtual machines may say that hundreds of nodes could be plugged in; heaps
 * for that many would cost more than they could ever give. */
#define POSSIBLE_MOST 16

bool kernel_nodes_allowed(struct node_mask *allowed)
{
    int saved = errno;
    *allowed = (struct node_mask){{0}};
    bool told = syscall(SYS_get_mempolicy, NULL, allowed->word, (unsigned long)KERNEL_NODES_MAX,
                        NULL, (unsigned long)MPOL_F_MEMS_ALLOWED) == 0;
    errno = saved;
    return told;
}

/* Adds a sysfs list of nodes, if it has at most `most`. */
static void add_list(struct node_mask *mask, const char *path, int most)
{
    char text[256];
    int nodes[KERNEL_NODES_MAX];
    if (read_file(path, text, sizeof(text)) <= 0)
        return;
    int found = topology_parse_list(text, KERNEL_NODES_MAX, nodes, KERNEL_NODES_MAX);
    for (int i = 0; i < found && found <= most; i++)
        node_mask_add(mask, nodes[i]);
}

static int list(const struct node_mask *mask, int *nodes, int room)
{
    int found = 0;
    for (int node = 0; node < KERNEL_NODES_MAX; node++)
        if (node_mask_has(mask, node)) {
            if (found < room)
                nodes[found] = node;
            found++;
        }
    return found;
}

int kernel_nodes(int *nodes, int room)
{
    struct node_mask mask;
    (void)kernel_nodes_allowed(&mask); /* containers may refuse; the files are there then */
    add_list(&mask, NODE_FILES "has_memory", KERNEL_NODES_MAX);
    int found = list(&mask, nodes, room);
    if (found > 1) {
        add_list(&mask, NODE_FILES "possible", POSSIBLE_MOST);
        found = list(&mask, nodes, room);
    }
    if (found == 0) {
        nodes[0] = 0;
        found = 1;
    }
    return found;
}
