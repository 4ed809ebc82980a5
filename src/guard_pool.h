/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * guard_pool.h - which place between guard pages an object gets, where in it the object lies,
 * and what a wrong address near it means.  Pure: no lock, no memory, no system call.
 */
#ifndef NH_GUARD_POOL_H
#define NH_GUARD_POOL_H

#include "base.h"
#include "limits.h"

/* ---- Which slot: those never used first, then whichever of a heap has been free longest, or of
 * any where none is free of that ---- */

#define GUARD_NO_SLOT NH_GUARD_SLOTS

/* All zero: every slot was never used. */
struct guard_pool {
    unsigned used;                /* slots below were used */
    unsigned count;               /* that are free again */
    uint8_t free[NH_GUARD_SLOTS]; /* those, the one that has been free longest first */
    uint8_t heap[NH_GUARD_SLOTS]; /* whose memory each of them has */
};
NH_STATIC(NH_GUARD_SLOTS <= UINT8_MAX && NH_HEAPS <= UINT8_MAX, "both are kept in bytes");

/* A slot that was never used, which is the caller's then, or GUARD_NO_SLOT. */
unsigned guard_pool_take_unused(struct guard_pool *pool);
/* A slot for an object of the heap, which is the caller's then, or GUARD_NO_SLOT. */
unsigned guard_pool_take(struct guard_pool *pool, unsigned heap);
/* The caller's slot, which has memory of the heap, becomes the one that is free for the shortest
 * time. */
void guard_pool_put(struct guard_pool *pool, unsigned slot, unsigned heap);

/* ---- Where in a slot ---- */

/* Parts of a slot, one behind the other; all multiples of `unit`, of both pages. */
struct guard_cut {
    size_t lead;  /* guard */
    size_t room;  /* for the object */
    size_t trail; /* guard */
};

/* For an object of `size` bytes, at least 1, and its alignment, a power of two, in a slot that
 * begins at `base`, a multiple of `unit`; 0 stands for one that has the least lead. */
void guard_cut_for(size_t size, size_t alignment, size_t unit, uintptr_t base,
                   struct guard_cut *out);
NH_INLINE size_t guard_cut_bytes(const struct guard_cut *cut)
{
    return cut->lead + cut->room + cut->trail;
}
/* The most that an object of up to NH_CLASS_MAX bytes takes that is aligned to no more than a unit.
 */
size_t guard_cut_most(size_t unit);

/* Bytes of the slot before the object: right behind the lead, or as near to the trail as its
 * alignment allows. */
size_t guard_offset(const struct guard_cut *cut, size_t size, size_t alignment, bool at_end);

/* ---- What an address means ---- */

enum guard_where { GUARD_BEFORE, GUARD_INSIDE, GUARD_BEHIND };

/* Where an address is of an object of `size` bytes, and how far: bytes to its first one, from its
 * first one, or from the first one behind it. */
enum guard_where guard_where(uintptr_t object, size_t size, uintptr_t address, size_t *distance);

#endif
