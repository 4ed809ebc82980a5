/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * magazine.h - a stack of free objects of one class and node, the unit that
 * changes hands between thread caches and central lists.
 *
 * After Bonwick & Adams, "Magazines and Vmem", USENIX 2001.  A magazine is
 * aligned to its size, so that a pointer into it finds it.  slot[0] is always
 * NULL: a pop that meets it knows the stack is empty without a second load.
 */
#ifndef NH_MAGAZINE_H
#define NH_MAGAZINE_H

#include "base.h"
#include "limits.h"

#define MAGAZINE_SLOTS ((NH_MAGAZINE_BYTES - 2 * sizeof(void *)) / sizeof(void *))
/* Most objects in one. */
#define MAGAZINE_ROUNDS ((unsigned)(MAGAZINE_SLOTS - 1))

struct magazine {
    struct magazine *next;      /* in the list that holds it; its owner's lock */
    uint32_t count;             /* of objects, while no cache has it loaded */
    uint32_t maker;             /* slot of the heap whose magazine it is; constant while in use */
    void *slot[MAGAZINE_SLOTS]; /* slot[0] is NULL, objects from slot[1] on */
};
NH_STATIC(sizeof(struct magazine) == NH_MAGAZINE_BYTES, "magazines fill their alignment");

NH_INLINE struct magazine *magazine_of(void **inside)
{
    return (struct magazine *)((uintptr_t)inside & ~(uintptr_t)(NH_MAGAZINE_BYTES - 1));
}

#endif
