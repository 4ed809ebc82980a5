/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * central_look.c - what a central list and its spans hold, for snapshots.
 */
#include "central.h"

/* A span that became free a moment ago is the page heap's, which writes what it likes
 * where the bits were. */
NH_RACY void copy_words(const struct object_bits *from, struct object_bits *to)
{
    for (unsigned i = 0; i < OBJECT_BITS_WORDS; i++)
        to->free[i] = __atomic_load_n(&from->free[i], __ATOMIC_ACQUIRE);
}

bool central_copy_bits(struct central *central, const struct span_view *view,
                       struct object_bits *out)
{
    lock_acquire(&central->lock);
    copy_words(&view->span->bits, out);
    bool still = span_is_still(view);
    lock_release(&central->lock);
    return still;
}

void central_each_cached(struct central *central, void (*fn)(void *object, void *arg), void *arg)
{
    lock_acquire(&central->lock);
    for (unsigned shelf = 0; shelf < CENTRAL_SHELVES; shelf++)
        for (struct magazine *at = central->full[shelf]; at != NULL; at = at->next)
            for (unsigned i = 0; i < at->count; i++)
                fn(at->slot[i], arg);
    lock_release(&central->lock);
}
