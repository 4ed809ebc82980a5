/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * kernel_nodes.c - see kernel_nodes.h.
 */
#include "numa/kernel_nodes.h"

#include "numa/topology.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's largest node number plus one, in any configuration. */
#define KERNEL_NODES_MAX 1024
#define WORD_BITS        (8 * sizeof(unsigned long))

static int from_policy(int *nodes, int room)
{
    unsigned long mask[KERNEL_NODES_MAX / WORD_BITS] = {0};
    if (syscall(SYS_get_mempolicy, NULL, mask, (unsigned long)KERNEL_NODES_MAX, NULL,
                (unsigned long)MPOL_F_MEMS_ALLOWED) != 0)
        return 0;
    int found = 0;
    for (int node = 0; node < KERNEL_NODES_MAX; node++)
        if ((mask[(size_t)node / WORD_BITS] >> (size_t)node % WORD_BITS & 1) != 0) {
            if (found < room)
                nodes[found] = node;
            found++;
        }
    return found;
}

/* Containers may refuse the system call; the file is there then. */
static int from_sysfs(int *nodes, int room)
{
    char text[256];
    /* System calls themselves: the functions are cancellation points. */
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/sys/devices/system/node/has_memory",
                          O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = syscall(SYS_read, fd, text, sizeof(text) - 1);
    syscall(SYS_close, fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    int found = topology_parse_list(text, KERNEL_NODES_MAX, nodes, room);
    return found < 0 ? 0 : found;
}

int kernel_nodes(int *nodes, int room)
{
    int saved = errno;
    int found = from_policy(nodes, room);
    if (found == 0)
        found = from_sysfs(nodes, room);
    if (found == 0) {
        nodes[0] = 0;
        found = 1;
    }
    errno = saved;
    return found;
}
