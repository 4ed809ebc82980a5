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
 * Not loaded, its objects are slot[0] to slot[count - 1].
 */
#ifndef NH_MAGAZINE_H
#define NH_MAGAZINE_H

#include "base.h"
#include "limits.h"

#include <string.h>

#define MAGAZINE_SLOTS ((NH_MAGAZINE_BYTES - 2 * sizeof(void *)) / sizeof(void *))
/* Most objects in one. */
#define MAGAZINE_ROUNDS ((unsigned)(MAGAZINE_SLOTS - 1))

struct magazine {
    void *slot[MAGAZINE_SLOTS];
    struct magazine *next; /* in the list that holds it; its owner's lock */
    uint32_t count;        /* of objects, while no cache has it loaded */
    uint32_t maker;        /* slot of the heap whose magazine it is; constant while in use */
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

/* Makes a stack of at most `rounds` objects of it, and of its count a top. */
NH_INLINE void **magazine_load(struct magazine *magazine, unsigned rounds)
{
    void **top = &magazine->slot[rounds - magazine->count];
    if (magazine->count != 0 && magazine->count != rounds)
        memmove(top, magazine->slot, magazine->count * sizeof *top);
    magazine->slot[rounds] = NULL;
    return top;
}

/* The reverse. */
NH_INLINE struct magazine *magazine_unload(void **top, unsigned rounds)
{
    struct magazine *magazine = magazine_of(top);
    magazine->count = rounds - (unsigned)(top - magazine->slot);
    if (magazine->count != 0 && magazine->count != rounds)
        memmove(magazine->slot, top, magazine->count * sizeof *top);
    return magazine;
}

#endif
