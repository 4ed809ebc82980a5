/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * central.h - the middle: one node's list of one size class.
 *
 * It keeps full magazines (the depot, after Bonwick), empty ones, and the
 * spans with room.  Caches exchange whole magazines with it; objects move one
 * by one only between a magazine and spans' free bits, when the depot has none
 * or is full.  Spans that become free go to the page heap at once, without
 * this lock.
 */
#ifndef NH_CENTRAL_H
#define NH_CENTRAL_H

#include "lock.h"
#include "magazine.h"
#include "size_class.h"
#include "span_list.h"

struct heap;

/* The depot's full magazines stand by who filled them: caches with the same number modulo
 * this.  Who wants one takes its own first, so that objects, and those beside them on a
 * cache line, stay with the CPU that knows them. */
#define CENTRAL_SHELVES 8

#define CENTRAL_LISTS 10
NH_STATIC(NH_SPAN_OBJECTS_MAX >> CENTRAL_LISTS == 0, "a list for every number of free objects");

struct central {
    struct lock lock;
    uint8_t cls;            /* constant */
    _Atomic uint8_t rounds; /* most objects of this class in a magazine loaded anew; relaxed */
    uint32_t home;          /* home word of its spans' pages (span_table.h); constant */
    uint32_t full_least;    /* fewest full magazines since the last decay; guarded by lock */
    struct heap *heap;      /* constant */
    struct size_class cut;  /* constant */
    /* Guarded by lock: */
    struct magazine *full[CENTRAL_SHELVES];
    struct magazine *empty;
    uint32_t fulls, empties;
    size_t depot_room; /* most free_in_depot; it grows with demand (central.c) */
    bool overflowed;   /* since the depot was last empty */
    uint8_t swings;    /* from overflowing to empty, since depot_room last grew */
    /* IN_USE spans with free objects: [n] those with 2^n to 2^(n+1) - 1 of them. */
    struct span_list with_room[CENTRAL_LISTS];
    uint32_t nonempty;    /* bit n: with_room[n] has one */
    size_t spans;         /* all IN_USE spans of the class */
    size_t free_in_spans; /* objects whose free bit is set */
    size_t free_in_depot; /* objects in full magazines */
    uint64_t refills, flushes, waits;
    uint64_t refilled; /* objects given for refills */
    uint64_t carved;   /* refills that found no full magazine */
    uint64_t freed;    /* objects in magazines that caches gave because they were full */
} __attribute__((aligned(2 * NH_CACHE_LINE)));

void central_init(struct central *central, struct heap *heap, unsigned cls);

/* The option about caches has changed. */
void central_renew_rounds(struct central *central);
NH_INLINE unsigned central_rounds(const struct central *central)
{
    return atomic_load_explicit(&central->rounds, memory_order_relaxed);
}

/* Gives `empty` (may be NULL) for a magazine with 1 to `want` objects taken
 * from spans, or however many a full magazine has.  NULL when the node has no
 * memory for even one object; `empty` then stays the caller's.  `shelf`, here and
 * below, is the caller's cache_shelf. */
struct magazine *central_exchange_empty(struct central *central, struct magazine *empty,
                                        unsigned want, unsigned shelf);
/* Gives a magazine with objects (count set) for an empty one; NULL when there
 * is no memory for one. */
struct magazine *central_exchange_full(struct central *central, struct magazine *full,
                                       unsigned shelf);
/* An empty magazine; NULL without memory for one. */
struct magazine *central_new_magazine(struct central *central);
/* Gives a magazine back for good: its objects, if any, to the depot or to
 * their spans. */
void central_retire(struct central *central, struct magazine *magazine, unsigned shelf);
/* The same, but for one of its objects, which the caller gets; it has at least one. */
void *central_retire_but_one(struct central *central, struct magazine *magazine, unsigned shelf);

/* One object, without a magazine: for threads that have no cache. */
void *central_take_one(struct central *central);
/* The same, one of a span's free objects by the random number. */
void *central_take_random(struct central *central, uint32_t random);
/* Returns objects of this class, allocated here, to their spans: as many as a magazine
 * holds, at most.  Objects that are free already or no object at all are reported and
 * skipped. */
void central_put(struct central *central, void *const *objects, unsigned count);

/* Takes full magazines apart: all, or those not needed since the last call.
 * Returns objects moved to spans. */
size_t central_drain(struct central *central, bool all);

/* ---- For snapshots (central_look.c) ---- */

/* The free bits of one of its spans at one moment; false when the span is not what
 * the view says any more. */
bool central_copy_bits(struct central *central, const struct span_view *view,
                       struct object_bits *out);
/* Calls fn, which takes no lock, with every object in full magazines. */
void central_each_cached(struct central *central, void (*fn)(void *object, void *arg), void *arg);

#endif
