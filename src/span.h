/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * span.h - the descriptor of a run of pages.
 *
 * States and who owns the descriptor's fields in each:
 *
 *   DEAD    no pages; on the descriptor allocator's free list.
 *   FREE    in one of its page heap's free sets; owner: the page heap's lock.
 *           The span table maps its first and last page to it.
 *   IN_USE  holds objects of one class, or one large object.  Owner: the lock
 *           of its central list; for a large object whoever holds the object.
 *           The span table maps every page to it.
 *   MANUAL  whole pages in the hands of the engine or of a caller of the
 *           page-span API; owner: that holder.
 *
 *   DEAD -> FREE (growth, split)      FREE -> DEAD (coalescing)
 *   DEAD -> IN_USE, MANUAL (split)    FREE -> IN_USE, MANUAL (whole span)
 *   IN_USE, MANUAL -> FREE
 *
 * Descriptors are type-stable: their memory is never anything else, so a
 * reader with a stale pointer may look, and finds by range and state that the
 * span is not the one it sought.
 */
#ifndef NH_SPAN_H
#define NH_SPAN_H

#include "base.h"
#include "limits.h"
#include "object_bits.h"

#include <stdatomic.h>

enum span_state { SPAN_DEAD, SPAN_IN_USE, SPAN_MANUAL, SPAN_FREE };

struct span {
    /* First line: all that refill, flush and lookup touch but the bits. */
    struct span *next, *prev; /* in one list at most: its state's owner */
    uintptr_t base;           /* first byte */
    size_t pages;
    uint64_t index_magic; /* size_class_index; 0 for a large object */
    uint32_t bytes;       /* an object's; 0 for a large object */
    uint16_t objects;     /* 0 for a large object */
    uint16_t free_objects;
    _Atomic uint8_t state; /* read without a lock by lookups: relaxed, a hint */
    uint8_t cls;           /* size class, or NH_CLASS_LARGE */
    uint8_t slot;   /* heap that uses it; the same for the descriptor's whole memory's life */
    bool needzero;  /* pages may hold old data; a FREE span without it is not resident */
    uint8_t cursor; /* object_bits.h */
    bool listed;    /* in its central's list of spans with room */
    uint8_t lender; /* whose pages they are; slot itself, but for borrowed ones */
    uint8_t spare;
    uint32_t generation; /* counts the descriptor's lives */
    /* Second line. */
    union {
        struct object_bits bits;          /* IN_USE */
        struct {                          /* FREE */
            struct span *left, *right;    /* treap, when NH_LISTED_PAGES or longer */
            struct span *younger, *older; /* by time of free, when needzero */
            uint64_t unused_since_ms;
            uint32_t priority; /* treap */
        } idle;
    };
} __attribute__((aligned(NH_CACHE_LINE)));

NH_STATIC(offsetof(struct span, bits) == NH_CACHE_LINE, "a span's bits start the second line");
NH_STATIC(sizeof(struct span) == 2 * (size_t)NH_CACHE_LINE, "a span fills two cache lines");

NH_INLINE enum span_state span_state(const struct span *span)
{
    return (enum span_state)atomic_load_explicit(&span->state, memory_order_relaxed);
}

/* One past the last byte. */
NH_INLINE uintptr_t span_end(const struct span *span)
{
    return span->base + (span->pages << NH_PAGE_SHIFT);
}

/* Whether `from` -> `to` is an edge of the diagram above. */
NH_INLINE bool span_may_become(enum span_state from, enum span_state to)
{
    switch (from) {
    case SPAN_DEAD:
        return to != SPAN_DEAD;
    case SPAN_FREE:
        return to != SPAN_FREE;
    default:
        return to == SPAN_FREE;
    }
}

NH_INLINE void span_set_state(struct span *span, enum span_state to)
{
    nh_assert(span_may_become(span_state(span), to));
    atomic_store_explicit(&span->state, (uint8_t)to, memory_order_relaxed);
}

#endif
