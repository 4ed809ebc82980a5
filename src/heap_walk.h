/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * heap_walk.h - all spans of all heaps, one after another, while they change.
 */
#ifndef NH_HEAP_WALK_H
#define NH_HEAP_WALK_H

#include "span.h"

/* The first IN_USE, MANUAL or FREE span at or after *from, in order of addresses; *from
 * becomes its end.  False at the end of all.  Each view is exact for its moment; spans
 * that come, go or change their bounds meanwhile may be missed, never seen twice.  Takes
 * no lock. */
bool heap_walk(uintptr_t *from, struct span_view *out);

#endif
