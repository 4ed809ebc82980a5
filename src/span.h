/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * span.h - the descriptor of a run of pages.
 *
 * States and who owns the descriptor's fields in each:
 *
 *   DEAD    no pages; on the descriptor allocator's free list.
 *   FREE    in one of its page heap's free sets; owner: the page heap's lock.
 *           The span table maps its first and last page to it, and one between.
 *   IN_USE  holds objects of one class, or one large object, or one between guard
 *           pages.  Owner: the lock of its central list; else whoever holds the
 *           object.  The span table maps every page to it.
 *   MANUAL  whole pages in the hands of the engine or of a caller of the
 *           page-span API; owner: that holder.
 *
 *   DEAD -> FREE (growth, split)      FREE -> DEAD (coalescing)
 *   DEAD -> IN_USE, MANUAL (split)    FREE -> IN_USE, MANUAL (whole span)
 *   IN_USE, MANUAL -> FREE                        IN_USE <-> MANUAL (guard.h)
 *
 * Descriptors are type-stable: their memory is never anything else, so a reader
 * with a stale pointer may look.  What it finds is made whole by the version: even
 * while the descriptor is at rest, odd while its owner changes what readers see,
 * greater with each change (a sequence lock; H.-J. Boehm, "Can seqlocks get along
 * with programming language memory models?", MSPC 2012).  The ranges of two
 * descriptors at rest that are not DEAD never overlap: who gives pages away is
 * changed before who takes them is at rest again.
 */
#ifndef NH_SPAN_H
#define NH_SPAN_H

#include "base.h"
#include "limits.h"
#include "object_bits.h"

#include <stdatomic.h>

enum span_state { SPAN_DEAD, SPAN_IN_USE, SPAN_MANUAL, SPAN_FREE };

/* Fields marked R are read by lookups, without a lock: after creation they are
 * changed by span_store and span_set_state, between span_change and span_settle. */
struct span {
    /* First line: all that refill, flush and lookup touch but the bits. */
    struct span *next, *prev; /* in one list at most: its state's owner */
    uintptr_t base;           /* first byte; R */
    size_t pages;             /* R */
    uint64_t index_magic;     /* size_class_index; bytes before a guarded object; else 0; R */
    uint32_t bytes;           /* an object's; 0 for a large object; R */
    uint16_t objects;         /* 0 for a large or guarded object; R */
    uint16_t free_objects;
    _Atomic uint8_t state; /* R */
    uint8_t cls;           /* size class, or NH_CLASS_LARGE, _GUARD, _PAGES; R */
    uint8_t slot;   /* heap that uses it; the same for the descriptor's whole memory's life; R */
    bool needzero;  /* pages may hold old data; a FREE span without it is not resident */
    uint8_t cursor; /* object_bits.h */
    uint8_t lender; /* whose pages they are; slot itself, but for borrowed ones; R */
    bool guards_before; /* guard_pages.h; the holder's */
    uint8_t spare;
    _Atomic uint64_t version; /* see above */
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

/* ---- The writers' side: the owner of the state ---- */

/* Whether `from` -> `to` is an edge of the diagram above. */
NH_INLINE bool span_may_become(enum span_state from, enum span_state to)
{
    switch (from) {
    case SPAN_DEAD:
        return to != SPAN_DEAD;
    case SPAN_FREE:
        return to != SPAN_FREE;
    default:
        return to != SPAN_DEAD && to != from;
    }
}

/* What a change adds to the version at its beginning, of two in all.  (NH_BREAK_ORDER:
 * the test that must find out.) */
#ifdef NH_BREAK_ORDER
#define SPAN_CHANGING 0U
#else
#define SPAN_CHANGING 1U
#endif

/* The owner begins to change what readers see.  The fence is for what overlays the bits, which
 * is stored plainly: who reads that by an acquire load reads after it that the version is not
 * what it was. */
NH_INLINE void span_change(struct span *span)
{
    uint64_t version = atomic_load_explicit(&span->version, memory_order_relaxed);
    nh_assert(version % 2 == 0);
    atomic_store_explicit(&span->version, version + SPAN_CHANGING, memory_order_relaxed);
#ifndef __SANITIZE_THREAD__ /* which knows no fences, and says so */
    atomic_thread_fence(memory_order_release);
#endif
}

/* ... and has changed it.  Release: pairs with the first load of span_glance. */
NH_INLINE void span_settle(struct span *span)
{
    uint64_t version = atomic_load_explicit(&span->version, memory_order_relaxed);
    nh_assert(version % 2 == SPAN_CHANGING);
    atomic_store_explicit(&span->version, version + 2 - SPAN_CHANGING, memory_order_release);
}

/* Release: pairs with span_glance's acquire loads of fields.  Who reads a new value there
 * reads after it that the version is not what it was. */
#define span_store(field, value) __atomic_store_n(field, value, __ATOMIC_RELEASE)

NH_INLINE void span_set_state(struct span *span, enum span_state to)
{
    nh_assert(span_may_become(span_state(span), to));
    atomic_store_explicit(&span->state, (uint8_t)to, memory_order_release);
}

/* ---- The readers' side: anyone, whatever happens meanwhile ---- */

/* A span as it was at one moment. */
struct span_view {
    const struct span *span;
    uintptr_t base;
    size_t pages;
    uint64_t index_magic;
    uint64_t version;
    uint32_t bytes;
    uint16_t objects;
    uint8_t state, cls, slot, lender;
};

/* Whether the span is still what the view says: whatever was read of it by acquire
 * loads between the two was then its. */
NH_INLINE bool span_is_still(const struct span_view *view)
{
    return atomic_load_explicit(&view->span->version, memory_order_relaxed) == view->version;
}

/* Reads all of it, which is one moment's when span_is_still says so afterwards and the
 * version is even. */
NH_INLINE void span_glance(const struct span *span, struct span_view *out)
{
    out->span = span;
    out->version = atomic_load_explicit(&span->version, memory_order_acquire);
    out->base = __atomic_load_n(&span->base, __ATOMIC_ACQUIRE);
    out->pages = __atomic_load_n(&span->pages, __ATOMIC_ACQUIRE);
    out->index_magic = __atomic_load_n(&span->index_magic, __ATOMIC_ACQUIRE);
    out->bytes = __atomic_load_n(&span->bytes, __ATOMIC_ACQUIRE);
    out->objects = __atomic_load_n(&span->objects, __ATOMIC_ACQUIRE);
    out->state = atomic_load_explicit(&span->state, memory_order_acquire);
    out->cls = __atomic_load_n(&span->cls, __ATOMIC_ACQUIRE);
    out->slot = __atomic_load_n(&span->slot, __ATOMIC_ACQUIRE);
    out->lender = __atomic_load_n(&span->lender, __ATOMIC_ACQUIRE);
}

/* False when the span changes at this moment. */
NH_INLINE bool span_read(const struct span *span, struct span_view *out)
{
    span_glance(span, out);
    return out->version % 2 == 0 && span_is_still(out);
}

/* A number for the span in its present use and bounds.  Versions alone are small and would
 * meet those of other descriptors, one of which may come to have the same pages. */
#define SPAN_GENERATION_SHIFT 17
NH_INLINE uint64_t span_view_generation(const struct span_view *view)
{
    return ((uint64_t)(uintptr_t)view->span << SPAN_GENERATION_SHIFT) + view->version / 2;
}

/* Whether it is cut into objects; else index_magic, bytes and objects may be of the past. */
NH_INLINE bool span_view_is_cut(const struct span_view *view)
{
    return view->state == SPAN_IN_USE && view->objects != 0;
}

/* Whether it has guard pages around an object, or had. */
NH_INLINE bool span_view_is_guarded(const struct span_view *view)
{
    return view->cls == NH_CLASS_GUARD;
}

/* Where what it holds begins: the first of its objects, the only one, or all of it. */
NH_INLINE uintptr_t span_view_object(const struct span_view *view)
{
    return view->base + (span_view_is_guarded(view) ? view->index_magic : 0);
}

/* Bytes of what it holds: each of its objects, or all of it. */
NH_INLINE size_t span_view_object_bytes(const struct span_view *view)
{
    return span_view_is_cut(view) || span_view_is_guarded(view) ? view->bytes
                                                                : view->pages << NH_PAGE_SHIFT;
}

/* Whether the page at `address` is one of the view's. */
NH_INLINE bool span_view_holds(const struct span_view *view, uintptr_t address)
{
    return view->state != SPAN_DEAD && address - view->base < view->pages << NH_PAGE_SHIFT;
}

NH_INLINE uintptr_t span_view_end(const struct span_view *view)
{
    return view->base + (view->pages << NH_PAGE_SHIFT);
}

#endif
