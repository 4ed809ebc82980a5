/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * guard_pool.h - which place between guard pages an object gets, where in it the object lies,
 * and what a wrong address near it means.  Pure: no lock, no memory, no system call.
 */
#ifndef NH_GUARD_POOL_H
#define NH_GUARD_POOL_H

#include "base.h"
#include "limits.h"

/* ---- Which slot: those never used first, then whichever has been free longest ---- */

#define GUARD_NO_SLOT NH_GUARD_SLOTS

/* All zero: every slot was never used. */
struct guard_pool {
    unsigned used;  /* slots below were used */
    unsigned first; /* in the ring: free for longest */
    unsigned count; /* in the ring */
    uint16_t free[NH_GUARD_SLOTS];
};

/* A slot, which is the caller's then, or GUARD_NO_SLOT. */
unsigned guard_pool_take(struct guard_pool *pool);
/* The caller's slot becomes the one that is free for the shortest time. */
void guard_pool_put(struct guard_pool *pool, unsigned slot);

/* ---- Where in a slot ---- */

/* Parts of a slot, one behind the other; all multiples of `unit`, of both pages. */
struct guard_cut {
    size_t lead;  /* guard */
    size_t room;  /* for the object */
    size_t trail; /* guard */
};

/* For an object of `size` bytes, at least 1, and its alignment, a power of two, where slots begin
 * at multiples of `lead`. */
void guard_cut_for(size_t size, size_t alignment, size_t unit, struct guard_cut *out);
NH_INLINE size_t guard_cut_bytes(const struct guard_cut *cut)
{
    return cut->lead + cut->room + cut->trail;
}
NH_INLINE bool guard_cut_same(const struct guard_cut *a, const struct guard_cut *b)
{
    return a->lead == b->lead && a->room == b->room && a->trail == b->trail;
}

/* Bytes of the slot before the object: right behind the lead, or as near to the trail as its
 * alignment allows. */
size_t guard_offset(const struct guard_cut *cut, size_t size, size_t alignment, bool at_end);

/* ---- What an address means ---- */

enum guard_where { GUARD_BEFORE, GUARD_INSIDE, GUARD_BEHIND };

/* Where an address is of an object of `size` bytes, and how far: bytes to its first one, from its
 * first one, or from the first one behind it. */
enum guard_where guard_where(uintptr_t object, size_t size, uintptr_t address, size_t *distance);

#endif
