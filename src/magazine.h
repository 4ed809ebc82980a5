/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * magazine.h - a stack of free objects of one class and node, the unit that
 * changes hands between caches and central lists.
 *
 * After Bonwick & Adams, "Magazines and Vmem", USENIX 2001.  A magazine is
 * aligned to its size.  Loaded in a bin it is a stack that grows downwards to
 * slot[0], so that one pointer, the stack's top, says everything:
 *  - the magazine is full when the top is aligned as a magazine is;
 *  - it is empty when what the top points to is NULL, which stands after the
 *    last object, at slot[rounds].
 * Not loaded, its objects are slot[0] to slot[count - 1].  How many rounds it has is
 * said when it is loaded (cache_share.h).
 */
#ifndef NH_MAGAZINE_H
#define NH_MAGAZINE_H

#include "base.h"
#include "limits.h"

#include <stdatomic.h>
#include <string.h>

#define MAGAZINE_SLOTS ((NH_MAGAZINE_BYTES - 2 * sizeof(void *)) / sizeof(void *))
/* Most objects in one. */
#define MAGAZINE_ROUNDS ((unsigned)(MAGAZINE_SLOTS - 1))

struct magazine {
    void *slot[MAGAZINE_SLOTS];
    struct magazine *next;   /* in the list that holds it; its owner's lock */
    uint16_t count;          /* of objects, while no cache has it loaded */
    _Atomic uint16_t rounds; /* most objects while it is loaded; relaxed: statistics read it */
    uint32_t maker;          /* slot of the heap whose magazine it is; constant while in use */
};
NH_STATIC(sizeof(struct magazine) == NH_MAGAZINE_BYTES, "magazines fill their alignment");

NH_STATIC(offsetof(struct magazine, slot) == 0, "a full magazine's top is aligned");

NH_INLINE struct magazine *magazine_of(void **inside)
{
    return (struct magazine *)((uintptr_t)inside & ~(uintptr_t)(NH_MAGAZINE_BYTES - 1));
}

/* Whether a top is that of a full magazine, or NULL. */
NH_INLINE bool magazine_top_full(void **top)
{
    return ((uintptr_t)top & (NH_MAGAZINE_BYTES - 1)) == 0;
}

NH_INLINE unsigned magazine_rounds(const struct magazine *magazine)
{
    return atomic_load_explicit(&magazine->rounds, memory_order_relaxed);
}

/* Makes a stack of it that has room for `rounds` objects, no fewer than it has, and of
 * its count a top. */
NH_INLINE void **magazine_load(struct magazine *magazine, unsigned rounds)
{
    nh_assert(rounds != 0 && magazine->count <= rounds);
    void **top = &magazine->slot[rounds - magazine->count];
    if (magazine->count != 0 && magazine->count != rounds)
        memmove(top, magazine->slot, magazine->count * sizeof *top);
    magazine->slot[rounds] = NULL;
    atomic_store_explicit(&magazine->rounds, (uint16_t)rounds, memory_order_relaxed);
    return top;
}

/* The reverse. */
NH_INLINE struct magazine *magazine_unload(void **top)
{
    struct magazine *magazine = magazine_of(top);
    unsigned rounds = magazine_rounds(magazine);
    magazine->count = (uint16_t)(rounds - (unsigned)(top - magazine->slot));
    if (magazine->count != 0 && magazine->count != rounds)
        memmove(magazine->slot, top, magazine->count * sizeof *top);
    return magazine;
}

#endif
