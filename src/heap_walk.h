/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * heap_walk.h - all spans of all heaps, one after another, while they change.
 */
#ifndef NH_HEAP_WALK_H
#define NH_HEAP_WALK_H

#include "span.h"

/* A span as it was at one moment. */
struct span_view {
    uintptr_t base;
    size_t pages;
    enum span_state state; /* IN_USE, MANUAL or FREE */
    uint8_t slot, lender, cls;
};

/* The first span at or after *from, in order of addresses; *from becomes its
 * end.  False at the end of all.  Each view is exact for its moment; spans that
 * come, go or change their bounds meanwhile may be missed, never seen twice.
 * Takes the page heap's lock of one heap at a time. */
bool heap_walk(uintptr_t *from, struct span_view *out);

#endif
