/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * share_page.h - the page of counters that a process shares (NEARHEAP_SHARE=1): a file of
 * fixed layout, which the process maps and writes (share.c), and nearheap-top reads.
 *
 * Counters are rows of numbers; a number's place in its row is that of its line in the
 * table: NH_NODE_STATS and NH_PAIR_STATS of nearheap.h, SHARE_CLASS_STATS below.  A page
 * says how long its rows are, so that one of another table is refused, not misread.
 *
 * There are two sets of figures, filled in turn.  `generation` counts those that are
 * complete; the newest is figures[generation % 2], and while it is read the writer is at
 * most at the other one.  So a page has whole figures at any moment, also of a process
 * that is stopped or that died while it wrote.
 *   Writer: fills figures[(generation + 1) % 2], between a fence that keeps this after the
 *     last increment and the increment itself, a release.
 *   Reader: loads generation (acquire), copies figures[generation % 2], and has them whole
 *     if, behind an acquire fence, generation is the same.
 * What was never written reads as zero and has no memory: rows beyond the process's nodes
 * cost nothing.
 *
 * Numbers are the machine's own.  Includes nothing of the engine's but its limits.
 */
#ifndef NH_SHARE_PAGE_H
#define NH_SHARE_PAGE_H

#include "base.h"
#include "limits.h"
#include "nearheap.h"

#include <stdatomic.h>

#define SHARE_MAGIC   UINT64_C(0x70616568726165ce) /* "\316earheap", little-endian */
#define SHARE_VERSION 1

/* Of a size class, over all nodes: X(field, unit, meaning) as in nearheap.h.  Row 0 is of
 * large objects, each with a span of its own. */
#define SHARE_CLASS_STATS(X)                                                                       \
    X(live_objects, "count", "objects the program holds")                                          \
    X(live_bytes, "bytes", "their bytes, rounded up to the class")                                 \
    X(cached_objects, "count", "free objects in caches and central magazines")                     \
    X(spans, "count", "spans in use")                                                              \
    X(span_bytes, "bytes", "pages in these")                                                       \
    X(refills, "events", "magazines taken from central lists")                                     \
    X(refilled_objects, "events", "objects in these")                                              \
    X(flushes, "events", "magazines given to central lists")                                       \
    X(waits, "events", "refills and flushes that had to wait for another thread's")

enum share_node_stat {
#define PLACE(name, unit, meaning) SHARE_NODE_##name,
    NH_NODE_STATS(PLACE)
#undef PLACE
        SHARE_NODE_VALUES
};
enum share_class_stat {
#define PLACE(name, unit, meaning) SHARE_CLASS_##name,
    SHARE_CLASS_STATS(PLACE)
#undef PLACE
        SHARE_CLASS_VALUES
};
enum share_pair_stat {
#define PLACE(name, unit, meaning) SHARE_PAIR_##name,
    NH_PAIR_STATS(PLACE)
#undef PLACE
        SHARE_PAIR_VALUES
};

#define SHARE_NO_NODE     INT32_MIN /* a heap that does not exist yet */
#define SHARE_INTERLEAVED (-1)      /* the heap of no node */

struct share_node {
    int32_t number; /* as the system counts; SHARE_INTERLEAVED, SHARE_NO_NODE */
    uint32_t reserved;
    uint64_t value[SHARE_NODE_VALUES];
};

struct share_class {
    uint64_t object_bytes; /* 0: of any size */
    uint64_t value[SHARE_CLASS_VALUES];
};

struct share_pair {
    uint64_t value[SHARE_PAIR_VALUES];
};

struct share_figures {
    uint64_t taken_ns; /* by CLOCK_MONOTONIC */
    uint32_t slots;    /* nodes of the process, each with a heap or without; 1 or more */
    uint32_t reserved;
    /* [0] to [slots - 1] by slot, and the last one for interleaved memory. */
    struct share_node node[NH_HEAPS];
    struct share_class cls[NH_CLASSES];
    /* Of [0] to [slots - 1]: whose memory, and who freed or borrowed it. */
    struct share_pair pair[NH_NODES_MAX][NH_NODES_MAX];
};

#define SHARE_RELEASE_ROOM 16

/* Numbers that tell whose page it is lie where they do in all versions: each removes what
 * processes on others left. */
struct share_header {
    /* Constant from when the file can be found. */
    uint64_t magic;
    uint32_t version;
    uint32_t node_stats, class_stats, pair_stats; /* lengths of rows */
    uint32_t heaps, classes;                      /* numbers of rows */
    uint64_t bytes;                               /* of the whole page */
    int64_t pid;                                  /* in its namespace */
    uint64_t pid_namespace;                       /* its inode */
    uint64_t started; /* the process, in clock ticks since boot, as /proc/PID/stat tells */
    char release[SHARE_RELEASE_ROOM]; /* of nearheap, as nh_version */
    uint64_t period_ms;               /* between two sets of figures */
    /* See above. */
    _Atomic uint64_t generation;
};

struct share_page {
    struct share_header header;
    uint8_t reserved[NH_SYSTEM_PAGE - sizeof(struct share_header)];
    struct share_figures figures[2];
};

/* Of the header, what ends with whose page it is. */
#define SHARE_OWNER_BYTES 64
NH_STATIC(offsetof(struct share_header, magic) == 0, "the same in all versions");
NH_STATIC(offsetof(struct share_header, pid) == 40, "the same in all versions");
NH_STATIC(offsetof(struct share_header, pid_namespace) == 48, "the same in all versions");
NH_STATIC(offsetof(struct share_header, started) == SHARE_OWNER_BYTES - sizeof(uint64_t),
          "the same in all versions");
NH_STATIC(sizeof(struct share_header) == 96, "the header has no gaps");
NH_STATIC(offsetof(struct share_header, generation) == 88, "generation comes last");
NH_STATIC(offsetof(struct share_page, figures) == NH_SYSTEM_PAGE, "figures begin on a page");
NH_STATIC(sizeof(struct share_node) == 8 + 8 * SHARE_NODE_VALUES, "rows have no gaps");
NH_STATIC(sizeof(_Atomic uint64_t) == sizeof(uint64_t), "an atomic number is a number");

#endif
