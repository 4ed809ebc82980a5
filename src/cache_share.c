/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cache_share.c - see cache_share.h.
 */
#include "cache_share.h"

/* The first magazines of a class: a thread that allocates little holds little. */
#define FIRST_ROUNDS 4
#define FIRST_BYTES  ((size_t)1 << 10)

/* More than is granted is had by who asks so often between two looks. */
#define ASKS_FOR_MORE 64

/* Two magazines of some dozen classes in each cache: what is granted is a quarter of the
 * heap or less. */
#define GRANTED_SHIFT 8

size_t cache_share_granted(size_t used, size_t caches)
{
    size_t granted = (used >> GRANTED_SHIFT) / (caches == 0 ? 1 : caches);
    return granted < SHARE_GRANTED_LEAST  ? SHARE_GRANTED_LEAST
           : granted > SHARE_GRANTED_MOST ? SHARE_GRANTED_MOST
                                          : granted;
}

/* Of objects so large that the least grant has none, none is held at first, and none by
 * grant: each may cost as much as all small ones. */
static unsigned rounds_granted(size_t granted, size_t bytes)
{
    return bytes <= SHARE_GRANTED_LEAST ? (unsigned)(granted / bytes) : 0;
}

static unsigned rounds_first(size_t bytes)
{
    size_t rounds = FIRST_BYTES / bytes;
    if (rounds == 0)
        return bytes <= SHARE_GRANTED_LEAST;
    return rounds < FIRST_ROUNDS ? (unsigned)rounds : FIRST_ROUNDS;
}

/* False when another thread changed it meanwhile: its wish counts then. */
static bool change(struct cache_share *share, unsigned cls, unsigned from, unsigned to)
{
    uint8_t expected = (uint8_t)from;
    return atomic_compare_exchange_strong_explicit(&share->rounds[cls], &expected, (uint8_t)to,
                                                   memory_order_relaxed, memory_order_relaxed);
}

/* So many rounds of the class are counted from now on. */
static void count_beyond(struct cache_share *share, unsigned cls, unsigned rounds)
{
    unsigned before =
        atomic_exchange_explicit(&share->beyond[cls], (uint8_t)rounds, memory_order_relaxed);
    /* Modulo 2^64 where it becomes less. */
    atomic_fetch_add_explicit(&share->bytes, 2 * ((size_t)rounds - before) * size_class_bytes(cls),
                              memory_order_relaxed);
}

/* How many more rounds of `bytes` the limit allows. */
static size_t room_for(const struct cache_share *share, size_t bytes)
{
    size_t taken = atomic_load_explicit(&share->bytes, memory_order_relaxed);
    size_t limit = atomic_load_explicit(&share->limit, memory_order_relaxed);
    return taken < limit ? (limit - taken) / (2 * bytes) : 0;
}

/* Twice as many, as far as there is room; all that is more counts. */
static unsigned grow_beyond(struct cache_share *share, unsigned cls, unsigned rounds, unsigned most)
{
    size_t more = rounds == 0 ? 1 : rounds;
    size_t room = room_for(share, size_class_bytes(cls));
    if (more > room)
        more = room;
    if (more > most - rounds)
        more = most - rounds;
    if (more == 0 || !change(share, cls, rounds, rounds + (unsigned)more))
        return cache_share_rounds(share, cls);
    unsigned counted = atomic_load_explicit(&share->beyond[cls], memory_order_relaxed);
    count_beyond(share, cls, counted + (unsigned)more);
    return rounds + (unsigned)more;
}

unsigned cache_share_grow(struct cache_share *share, unsigned cls, unsigned most, size_t granted,
                          unsigned asks)
{
    unsigned rounds = cache_share_rounds(share, cls);
    if (rounds >= most)
        return most;
    size_t bytes = size_class_bytes(cls);
    unsigned by_grant = rounds_granted(granted, bytes);
    if (rounds >= by_grant) {
        if (asks < ASKS_FOR_MORE)
            return rounds;
        atomic_store_explicit(&share->asks[cls], 1, memory_order_relaxed);
        return grow_beyond(share, cls, rounds, most);
    }
    unsigned wish = rounds == 0 ? rounds_first(bytes) : rounds * 2;
    if (wish > by_grant)
        wish = by_grant;
    if (wish > most)
        wish = most;
    return change(share, cls, rounds, wish) ? wish : cache_share_rounds(share, cls);
}

bool cache_share_asked(const struct cache_share *share)
{
    for (unsigned cls = 1; cls < NH_CLASSES; cls++)
        if (atomic_load_explicit(&share->asks[cls], memory_order_relaxed) != 0)
            return true;
    return false;
}

bool cache_share_shrink(struct cache_share *share, unsigned cls)
{
    unsigned rounds = cache_share_rounds(share, cls);
    if (atomic_exchange_explicit(&share->asks[cls], 0, memory_order_relaxed) != 0 || rounds == 0)
        return false;
    unsigned first = rounds_first(size_class_bytes(cls));
    unsigned half = rounds / 2 > first ? rounds / 2 : first;
    unsigned left = rounds <= first ? 0 : half;
    if (!change(share, cls, rounds, left))
        return false;
    unsigned counted = atomic_load_explicit(&share->beyond[cls], memory_order_relaxed);
    if (counted > left)
        count_beyond(share, cls, left);
    return true;
}

void cache_share_limit(struct cache_share *share, size_t limit)
{
    atomic_store_explicit(&share->limit, limit, memory_order_relaxed);
}

void cache_share_fit(struct cache_share *share, unsigned cls, unsigned most)
{
    unsigned rounds = cache_share_rounds(share, cls);
    unsigned counted = atomic_load_explicit(&share->beyond[cls], memory_order_relaxed);
    unsigned left = rounds > counted ? rounds - counted : 0;
    if (left > most)
        left = most;
    if (left < rounds && change(share, cls, rounds, left))
        count_beyond(share, cls, 0);
}

void cache_share_clear(struct cache_share *share)
{
    for (unsigned cls = 1; cls < NH_CLASSES; cls++) {
        atomic_store_explicit(&share->rounds[cls], 0, memory_order_relaxed);
        atomic_store_explicit(&share->wanted[cls], 0, memory_order_relaxed);
        count_beyond(share, cls, 0);
    }
}
