/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * room.h - how much memory the system has left: on a node, on all nodes the
 * process may use, and in its control group (cgroup v2).
 *
 * Read from the kernel's files when a heap needs more memory, which is every
 * few dozen megabytes; no malloc, no lock; errno is kept.  What cannot be read
 * counts as boundless.
 */
#ifndef NH_ROOM_H
#define NH_ROOM_H

#include "base.h"

#define ROOM_BOUNDLESS UINT64_MAX

/* All in bytes. */
struct room {
    uint64_t total; /* of the node */
    uint64_t free;  /* unused */
    uint64_t cache; /* of files, much of which the kernel can take back */
};

/* What a node's memory may fall to before it counts as out: the kernel keeps a
 * part of each node for itself and starts to reclaim, swap or go elsewhere
 * before that is reached. */
uint64_t room_watermark(const struct room *node);

/* Unused memory of a node above its watermark: what it gives without taking
 * anything from files.  0 when the process may not use the node. */
uint64_t room_of_node(int node);

/* The same with half of the files' memory. */
uint64_t room_of_node_at_most(int node);

/* What a heap plans with whose memory must be its node's. */
struct room_plan {
    uint64_t most;  /* what it may use, when that was first seen or has grown; 0 before */
    uint64_t cache; /* of files, then */
    uint64_t taken; /* of the process, then (room_taken) */
    int node;       /* whose all that is: of another the heap plans anew */
};

/* What such a heap, which uses `used`, may still take: of unused memory or, with `hard`, of half
 * of the files' memory as well.  0 and ROOM_BOUNDLESS as above. */
uint64_t room_of_plan(struct room_plan *plan, int node, uint64_t used, bool hard);

/* What the machine can give without swapping or killing, by the kernel's estimate: for
 * machines with one node, and heaps that are not placed. */
uint64_t room_of_machine(void);

/* What the process has of its own, in memory and in swap; ROOM_BOUNDLESS when it is not told. */
uint64_t room_taken(void);

/* What all nodes together can give, swap included, and not more than the
 * process's control group may still have. */
uint64_t room_of_process(void);

/* The control group's part alone; ROOM_BOUNDLESS without a limit. */
uint64_t room_of_cgroup(void);

/* ---- Parts, tested alone ---- */

/* Reads a node's meminfo; false if it is no such text. */
bool room_parse_node(const char *text, struct room *out);

/* What the plan leaves to a heap that uses `used`, where this is what its node has, and `taken`
 * what the process has. */
uint64_t room_plan_left(struct room_plan *plan, const struct room *node, uint64_t used,
                        uint64_t taken);

/* What /proc/meminfo says is available, above a watermark; ROOM_BOUNDLESS if it is no such
 * text. */
uint64_t room_parse_machine(const char *text);

/* Anonymous memory, swap included, by /proc/thread-self/status; ROOM_BOUNDLESS if it is no such
 * text. */
uint64_t room_parse_taken(const char *text);

/* The process's path in the cgroup v2 hierarchy, from the text of
 * /proc/thread-self/cgroup, without a line's end; false if there is none. */
bool room_parse_cgroup(const char *text, char *path, size_t size);

/* A file with one number, or "max". */
uint64_t room_parse_number(const char *text);

#endif
