/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * snapshot.h - all spans and which of their objects the program holds, while others
 * go on allocating and freeing.
 *
 * Collects what caches and lists hold into spans (or leaves it there), copies every span
 * with its bits at one moment, then strikes out what caches hold by then.  So an object that is
 * held for all of that is in it, once; and one that is free for all of that is not, unless it was
 * on its way between the caches of threads that run just then.
 *
 * Not from signal handlers; no lock may be held.  Memory comes from the system.
 */
#ifndef NH_SNAPSHOT_H
#define NH_SNAPSHOT_H

#include "span.h"

struct snapshot_span {
    struct span_view view;
    struct object_bits bits; /* of objects: those the program does not hold */
    uint16_t free_objects;   /* of these, those that no cache held */
};

struct snapshot {
    struct snapshot_span *span; /* in order of addresses */
    size_t spans;
    size_t mapped; /* bytes */
};

/* What caches and lists hold. */
enum snapshot_cached {
    SNAPSHOT_COLLECT, /* goes back to spans first: then hardly any is on its way meanwhile */
    SNAPSHOT_LEAVE    /* stays: the heap is as it was before */
};

/* False without memory. */
bool snapshot_take(struct snapshot *out, enum snapshot_cached cached);
void snapshot_drop(struct snapshot *snapshot);

/* Objects of a span that the program holds; a large object and pages of nh_pages_alloc
 * are one. */
unsigned snapshot_held(const struct snapshot_span *span);

#endif
