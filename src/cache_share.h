/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cache_share.h - how much of each class a cache holds, by demand.
 *
 * A magazine of a class has so many rounds: few at first, twice as many after each
 * exchange with the central list, up to what is granted to every class: some kilobytes,
 * more where the heap is large beside them.  A class that asks often has more, as long
 * as what all have beyond stays within the cache's bytes.  A look from time to time takes
 * half from the classes that asked for nothing since the last one.  So those that a
 * thread works with have the room, and those it worked with once give it up.  After the
 * dynamic sizing of per-CPU caches in A. Hunter et al., "Beyond malloc efficiency to
 * fleet efficiency", OSDI 2021.
 *
 * Pure: no lock, no allocation.  All fields are relaxed atomics: the threads of a CPU
 * and whoever takes a look change them at the same time, each change by itself; a
 * hint that is lost costs an exchange.
 */
#ifndef NH_CACHE_SHARE_H
#define NH_CACHE_SHARE_H

#include "base.h"
#include "limits.h"
#include "size_class.h"

#include <stdatomic.h>

/* The least that is granted, bytes of a magazine: exchanges of small objects would cost
 * more than the objects.  And the most, which is all of most small ones. */
#define SHARE_GRANTED_LEAST ((size_t)8 << 10)
#define SHARE_GRANTED_MOST  ((size_t)32 << 10)

struct cache_share {
    _Atomic size_t limit;               /* of bytes */
    _Atomic size_t bytes;               /* of two magazines each, beyond what was granted */
    _Atomic uint8_t rounds[NH_CLASSES]; /* of a magazine loaded now; 0: the class holds none */
    _Atomic uint8_t beyond[NH_CLASSES]; /* of them, those that `bytes` counts */
    _Atomic uint8_t asks[NH_CLASSES];   /* since the last look or growth beyond, saturating */
    _Atomic uint8_t wanted[NH_CLASSES]; /* magazines to give before none were wanted lately */
};

/* What is granted where so many caches belong to a heap that uses so many bytes. */
size_t cache_share_granted(size_t used, size_t caches);

/* The rounds of a class's magazines; 0 for one that holds none. */
NH_INLINE unsigned cache_share_rounds(const struct cache_share *share, unsigned cls)
{
    return atomic_load_explicit(&share->rounds[cls], memory_order_relaxed);
}

/* More rounds for a class that asked so often, as far as there is room; returns what
 * it has. */
unsigned cache_share_grow(struct cache_share *share, unsigned cls, unsigned most, size_t granted,
                          unsigned asks);

/* The class asked its central list, where `granted` bytes are granted: returns its rounds
 * from now on, at most `most`; 0 when it shall hold none. */
NH_INLINE unsigned cache_share_ask(struct cache_share *share, unsigned cls, unsigned most,
                                   const _Atomic size_t *granted)
{
    unsigned asks = atomic_load_explicit(&share->asks[cls], memory_order_relaxed);
    if (asks < UINT8_MAX)
        atomic_store_explicit(&share->asks[cls], (uint8_t)++asks, memory_order_relaxed);
    if (nh_likely(cache_share_rounds(share, cls) >= most))
        return most;
    return cache_share_grow(share, cls, most, atomic_load_explicit(granted, memory_order_relaxed),
                            asks);
}

/* A thread that gives so many magazines of a class in a row, and wants none, or never wanted
 * one, only frees what others allocate. */
#define SHARE_GIVEN_IN_A_ROW 16

NH_INLINE bool cache_share_only_gives(const struct cache_share *share, unsigned cls)
{
    return atomic_load_explicit(&share->wanted[cls], memory_order_relaxed) == 0;
}

/* One was given: whether that is so now. */
NH_INLINE bool cache_share_gives(struct cache_share *share, unsigned cls)
{
    unsigned left = atomic_load_explicit(&share->wanted[cls], memory_order_relaxed);
    if (left == 0)
        return true;
    atomic_store_explicit(&share->wanted[cls], (uint8_t)(left - 1), memory_order_relaxed);
    return false;
}

/* One is wanted. */
NH_INLINE void cache_share_wants(struct cache_share *share, unsigned cls)
{
    atomic_store_explicit(&share->wanted[cls], SHARE_GIVEN_IN_A_ROW, memory_order_relaxed);
}

/* Whether any class asked since the last look. */
bool cache_share_asked(const struct cache_share *share);
/* A look at a class: true, and it has fewer rounds from now on, when it is used but
 * did not ask since the last look. */
bool cache_share_shrink(struct cache_share *share, unsigned cls);

/* From now on `limit` bytes, and of a class `most` rounds: what it has beyond what was granted
 * goes, to be asked for again. */
void cache_share_limit(struct cache_share *share, size_t limit);
void cache_share_fit(struct cache_share *share, unsigned cls, unsigned most);

/* No class is used. */
void cache_share_clear(struct cache_share *share);

#endif
