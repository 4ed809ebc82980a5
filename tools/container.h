/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * container.h - whether a process is on the other side of a container's border, where its
 * socket and its page of counters are not found from here.
 */
#ifndef NH_TOOLS_CONTAINER_H
#define NH_TOOLS_CONTAINER_H

#include <stdbool.h>

/* What is said of one, behind the process. */
#define CONTAINER_SAID                                                                             \
    "runs in a container (it has another PID namespace, or another /dev/shm): use the tools "      \
    "inside of it"

/* Whether the process has another PID namespace, or sees another /dev/shm, than this program;
 * false, too, where that is not ours to know. */
bool container_has(long pid);

#endif
