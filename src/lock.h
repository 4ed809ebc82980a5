/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * lock.h - a four-byte mutex that never allocates, and the ranks of all locks.
 *
 * A thread takes locks in rising rank only and at most one of a rank, and none twice, except
 * that fork takes all of them (process.c), also in a handler of a signal that
 * interrupted the engine: a lock knows who holds it.  Debug builds check the
 * ranks.  Critical sections are short and make no call out of the engine.
 *
 * Ordering: lock_acquire is an acquire operation and pairs with the release
 * in lock_release; waiters sleep in the kernel (futex), so a holder that is
 * preempted costs the others no CPU.  After U. Drepper, "Futexes Are Tricky".
 */
#ifndef NH_LOCK_H
#define NH_LOCK_H

#include "base.h"

#include <stdatomic.h>

enum lock_rank {
    LOCK_HEAPS,     /* creation of heaps (heap.c), boot (process.c) */
    LOCK_RECLAIM,   /* one collects what a heap is owed at a time (heap.c) */
    LOCK_REGISTRY,  /* the list of caches (cache_registry.c) */
    LOCK_ROOM,      /* one asks how much memory there is at a time (heap_room.c) */
    LOCK_INBOX,     /* one node's returned magazines (heap_inbox.c) */
    LOCK_CENTRAL,   /* one node's list of one class (central.c) */
    LOCK_TURN,      /* whose turn it is to take the next (page_heap_os.c) */
    LOCK_RELEASE,   /* one gives back a heap's pages at a time (page_heap_os.c) */
    LOCK_PAGE_HEAP, /* one node's spans (page_heap.c) */
    LOCK_FIXALLOC,  /* one allocator of metadata (fixalloc.c) */
    LOCK_TABLE,     /* growth of the span table (span_table.c) */
    LOCK_SPECIAL,   /* one part of the records of objects (special.c) */
    LOCK_PROFILE,   /* what a profile counts (profile.c) */
    LOCK_GUARD,     /* objects between guard pages (guard.c) */
    LOCK_MEMCHECK,  /* what was freed under memcheck (memcheck_family.c) */
    LOCK_HARDEN,    /* one heap's quarantine and random numbers (harden.c) */
    LOCK_RANKS
};

/* What is in a lock's word while it is held; it is 0 while it is free. */
#define LOCK_SLEEPERS    1U /* somebody sleeps */
#define LOCK_TIMES       2U /* times that its holder has it, never 0 */
#define LOCK_TIMES_MASK  0xEU
#define LOCK_OWNER       0x10U /* and who that is */
#define LOCK_OWNER_SHIFT 10    /* lock_owner */

struct lock {
    _Atomic uint32_t word;
#ifdef NH_DEBUG
    uint32_t rank;
#endif
};

#ifdef NH_DEBUG
#define LOCK_INIT(r)                                                                               \
    {                                                                                              \
        .word = 0, .rank = (r)                                                                     \
    }
#else
#define LOCK_INIT(r)                                                                               \
    {                                                                                              \
        .word = 0                                                                                  \
    }
#endif

void lock_init(struct lock *lock, enum lock_rank rank);
NH_SLOW void lock_wait(struct lock *lock);
NH_SLOW void lock_wake(struct lock *lock);
/* Debug builds: remember and check what this thread holds. */
void lock_rank_push(const struct lock *lock);
void lock_rank_pop(const struct lock *lock);
/* Between these, in the thread that forks, ranks are not checked.  They nest. */
void lock_rank_suspend(void);
void lock_rank_resume(void);

/* Locks that the thread holds, is about to, or has just given back: an exit handler that
 * interrupted it in the engine must not wait for one of them.  With LOCK_FORKING the thread
 * is between our handlers of fork and holds every lock: handlers of others that
 * run there may allocate, so it passes through locks and releases none. */
#define LOCK_FORKING (1U << 31)
/* Times that the thread forks in handlers which interrupted it in the engine: it may hold what
 * fork takes, which is to take it again.  Below it there is room for every lock. */
#define LOCK_INSIDE (1U << 20)
extern _Thread_local unsigned lock_depth
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Who holds a lock: made of an address of the thread's own.  Two threads' are more than 1 KiB
 * apart, even where the first one's lie next to the end of another's stack: the C library keeps
 * more than that about a thread between them.  Threads of which they are a multiple of 256 GiB
 * apart look the same, which matters with LOCK_INSIDE alone. */
NH_INLINE uint32_t lock_owner(void)
{
    return (uint32_t)((uintptr_t)&lock_depth >> LOCK_OWNER_SHIFT) * LOCK_OWNER;
}

/* The word of a lock that this thread has just got. */
NH_INLINE uint32_t lock_owned(void)
{
    return lock_owner() | LOCK_TIMES;
}

/* Whether another thread held it. */
NH_INLINE bool lock_acquire(struct lock *lock)
{
    lock_depth++;
#ifdef NH_DEBUG
    lock_rank_push(lock);
#endif
    atomic_signal_fence(memory_order_seq_cst);
    uint32_t expected = 0;
    if (nh_likely(atomic_compare_exchange_strong_explicit(
            &lock->word, &expected, lock_owned(), memory_order_acquire, memory_order_relaxed)))
        return false;
    lock_wait(lock);
    return true;
}

NH_INLINE bool lock_try(struct lock *lock)
{
    uint32_t expected = 0;
    lock_depth++;
    atomic_signal_fence(memory_order_seq_cst);
    if (!atomic_compare_exchange_strong_explicit(&lock->word, &expected, lock_owned(),
                                                 memory_order_acquire, memory_order_relaxed)) {
        lock_depth--;
        return false;
    }
#ifdef NH_DEBUG
    lock_rank_push(lock);
#endif
    return true;
}

NH_INLINE void lock_release(struct lock *lock)
{
#ifdef NH_DEBUG
    lock_rank_pop(lock);
#endif
    if (nh_likely((lock_depth & LOCK_FORKING) == 0)) {
        uint32_t word = atomic_exchange_explicit(&lock->word, 0, memory_order_release);
        if (nh_unlikely((word & LOCK_SLEEPERS) != 0))
            lock_wake(lock);
    }
    atomic_signal_fence(memory_order_seq_cst);
    lock_depth--;
}

/* For fork: as above, but with LOCK_INSIDE a lock that the thread has already it has once more,
 * up to seven times in all, and gives back as often. */
void lock_acquire_again(struct lock *lock);
void lock_release_again(struct lock *lock);

#endif
