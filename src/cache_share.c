/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cache_share.c - see cache_share.h.
 */
#include "cache_share.h"

/* The first magazines of a class: a thread that allocates little holds little. */
#define FIRST_ROUNDS 4
#define FIRST_BYTES  ((size_t)1 << 10)

/* Magazines up to this are had by all who ask: exchanges of small objects would cost
 * more than the objects.  Of larger objects none is held at first. */
#define GRANTED_BYTES ((size_t)8 << 10)
/* More is had by who asks so often between two looks. */
#define ASKS_FOR_MORE 64

static unsigned rounds_granted(size_t bytes)
{
    return (unsigned)(GRANTED_BYTES / bytes);
}

static unsigned rounds_first(size_t bytes)
{
    size_t rounds = FIRST_BYTES / bytes;
    if (rounds == 0)
        return bytes <= GRANTED_BYTES;
    return rounds < FIRST_ROUNDS ? (unsigned)rounds : FIRST_ROUNDS;
}

/* Of two magazines, what is not had by all. */
static size_t beyond(unsigned rounds, size_t bytes)
{
    unsigned granted = rounds_granted(bytes);
    return rounds > granted ? 2 * (rounds - granted) * bytes : 0;
}

/* False when another thread changed it meanwhile: its wish counts then. */
static bool change(struct cache_share *share, unsigned cls, unsigned from, unsigned to)
{
    uint8_t expected = (uint8_t)from;
    if (!atomic_compare_exchange_strong_explicit(&share->rounds[cls], &expected, (uint8_t)to,
                                                 memory_order_relaxed, memory_order_relaxed))
        return false;
    size_t bytes = size_class_bytes(cls);
    /* Modulo 2^64 where it becomes less. */
    atomic_fetch_add_explicit(&share->bytes, beyond(to, bytes) - beyond(from, bytes),
                              memory_order_relaxed);
    return true;
}

/* How many more rounds of `bytes` the limit allows. */
static size_t room_for(const struct cache_share *share, size_t bytes)
{
    size_t taken = atomic_load_explicit(&share->bytes, memory_order_relaxed);
    return taken < share->limit ? (share->limit - taken) / (2 * bytes) : 0;
}

unsigned cache_share_grow(struct cache_share *share, unsigned cls, unsigned most, unsigned asks)
{
    unsigned rounds = cache_share_rounds(share, cls);
    size_t bytes = size_class_bytes(cls);
    unsigned granted = rounds_granted(bytes);
    unsigned wish = rounds == 0 ? rounds_first(bytes) : rounds * 2;
    if (rounds < granted) {
        if (wish > granted)
            wish = granted;
    } else if (asks < ASKS_FOR_MORE) {
        return rounds;
    } else {
        atomic_store_explicit(&share->asks[cls], 1, memory_order_relaxed);
        size_t more = rounds == 0 ? 1 : rounds;
        size_t room = room_for(share, bytes);
        wish = rounds + (unsigned)(room < more ? room : more);
    }
    if (wish > most)
        wish = most;
    if (wish <= rounds || change(share, cls, rounds, wish))
        return wish;
    return cache_share_rounds(share, cls);
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
    return change(share, cls, rounds, rounds <= first ? 0 : half);
}

void cache_share_clear(struct cache_share *share)
{
    for (unsigned cls = 1; cls < NH_CLASSES; cls++)
        (void)change(share, cls, cache_share_rounds(share, cls), 0);
}
