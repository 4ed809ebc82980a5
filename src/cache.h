/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cache.h - the front: a cache, and the slow paths behind the fast ones of
 * fast.c.  Caches are CPUs'; where that cannot be or does not pay (cpu_cache.h), and
 * for threads that were told their node, threads'.
 *
 * A cache has at most two magazines of a class, all of its node: one loaded in
 * the row (row.h), and a spare; how large, cache_share.h says.  Objects of other nodes wait in
 * magazines of a third kind, an outbox for each node, until one is full and goes home as it is.
 *
 * Who wants a magazine takes it, and has it alone: out of a CPU's bin by a
 * restartable sequence, out of a thread's, which nobody else touches, as it
 * likes.  Spares and outboxes lie in atomic slots: whoever wants one exchanges it
 * for NULL; so others can collect them at any time, and the fast paths pay
 * nothing for it.  The exchange is acquire, that which puts a magazine there
 * release: the pair hands over its count and objects.  Between two threads of a
 * CPU the kernel's switch from one to the other orders what bins lead to.
 */
#ifndef NH_CACHE_H
#define NH_CACHE_H

#include "cache_share.h"
#include "heap.h"
#include "row.h"

#define CACHE_NO_CPU (-1)

struct cache {
    /* In the registry; guarded by its lock. */
    struct cache *next, *prev;
    /* The node it serves: a CPU's cache always the same, a thread's that of the thread's
     * present one.  Of a cache in the registry changed by its thread under that lock; relaxed:
     * others read it without as a hint. */
    struct heap *_Atomic heap;
    struct heap *birthplace;       /* whose memory the cache is; constant */
    int32_t cpu;                   /* whose it is, or CACHE_NO_CPU; constant while in use */
    uint32_t thread_number;        /* of a thread's; constant while attached */
    uint32_t shelf;                /* cache_shelf; constant while in use */
    _Atomic uint32_t changes_seen; /* topology_changes when heap was chosen; relaxed */
    struct cache_share share;
    _Atomic bool idle; /* no class asked for anything between two looks; relaxed */
    _Atomic uint8_t spare_count[NH_CLASSES]; /* objects in it when it was put there; statistics */
    _Atomic(struct magazine *) spare[NH_CLASSES];
    /* By home slot: objects of any class that other nodes wait for. */
    _Atomic(struct magazine *) outbox[NH_NODES_MAX];
    /* topology_now()->slots of them. */
    struct row rows[];
};

/* Whoever wants a spare or an outbox; NULL if there is none. */
NH_INLINE struct magazine *cache_take_spare(struct cache *cache, unsigned cls)
{
    /* A look first: an exchange costs more, and most slots are empty. */
    if (atomic_load_explicit(&cache->spare[cls], memory_order_relaxed) == NULL)
        return NULL;
    return atomic_exchange_explicit(&cache->spare[cls], NULL, memory_order_acquire);
}

NH_INLINE struct magazine *cache_take_outbox(struct cache *cache, unsigned slot)
{
    if (atomic_load_explicit(&cache->outbox[slot], memory_order_relaxed) == NULL)
        return NULL;
    return atomic_exchange_explicit(&cache->outbox[slot], NULL, memory_order_acquire);
}

/* The depots' shelf on which it leaves magazines and looks for them first. */
NH_INLINE unsigned cache_shelf(const struct cache *cache)
{
    return cache->shelf;
}

/* Bytes of a cache with rows for all slots. */
size_t cache_bytes(void);

/* ---- cache.c, cache_life.c: by any thread, with the cache it has at the moment ---- */

/* An object of class `cls` when the bin was empty; NULL without memory (errno is
 * the caller's). */
NH_SLOW void *cache_refill(unsigned cls);

/* Frees a pointer whatever it is, NULL too. */
NH_SLOW void cache_free_slow(void *ptr);

/* An object of `heap` was freed by the calling thread, and no batch will count
 * it: counts where. */
void cache_count_free(struct heap *heap);

/* The slot of the calling thread's node, or of the one its cache is of; a cache is not
 * made for it. */
unsigned cache_present_slot(void);

/* The calling thread's present heap; NULL without memory. */
struct heap *cache_heap(void);

/* From now on the calling thread's memory comes from the heap of `slot`, or
 * with CACHE_FOLLOW again from that of the node it runs on. */
#define CACHE_FOLLOW NH_NODES_MAX
void cache_fix_slot(unsigned slot);

/* What the calling thread has cached, and CPUs whose caches asked for nothing between
 * the last two calls of cache_collect_idle, goes back to its spans. */
void cache_give_back(void);

/* Gives back all that the calling thread and all CPUs cache, but for CPUs' outboxes: for these
 * cache_collect_outboxes. */
void cache_flush(void);

/* Called with the thread's cache when the thread ends. */
void cache_thread_end(void *cache);

/* Process start. */
void cache_init(void);

/* ---- For cpu_cache.c ---- */

/* A CPU's cache of a node, found or made; NULL without memory.  The caller holds
 * the registry's lock. */
struct cache *cache_for_cpu(struct heap *heap, uint32_t cpu);
/* Empties a cache that nobody else uses meanwhile: into depots, where others find it as it is,
 * and what is other nodes' goes home. */
void cache_empty(struct cache *cache);
/* The same without its outboxes, and soon done: into a list, which the caller gives to
 * heap_unpack_all where memory may go back to the system, with no lock held.  (A child that is
 * forked meanwhile by another thread does not get back what is in the list.) */
void cache_take_out(struct cache *cache, struct magazine **list);
NH_INLINE struct heap *cache_heap_of(const struct cache *cache)
{
    return atomic_load_explicit(&cache->heap, memory_order_relaxed);
}

/* ---- cache_registry.c: all caches, from any thread ---- */

/* These, to take_out: the caller holds the lock below. */
void cache_register(struct cache *cache);
void cache_unregister(struct cache *cache);
/* The cache of a CPU and node, or NULL. */
struct cache *cache_registry_find(const struct heap *heap, uint32_t cpu);
/* Whether a CPU's cache is idle and has something. */
bool cache_registry_has_idle_cpus(void);
/* cache_take_out of CPUs' caches, which are closed: of all, or of those that are idle. */
void cache_registry_take_out(bool idle_only, struct magazine **list);
/* The option about caches has changed, and so have the lists' rounds: all fit in what it says
 * from now on.  Takes the lock. */
void cache_registry_fit(void);
/* All rows in use count anew what they sample. */
void cache_registry_reset_sampling(void);

/* Gives back the spare magazines of all caches that are of `heap`, and all
 * outboxes go home; or only these. */
void cache_collect(struct heap *heap);
void cache_collect_outboxes(void);
/* The same of spares whose class its cache had no use for since the last call. */
void cache_collect_idle(struct heap *heap);

/* Caches on `heap` and the heap's objects of each class in their magazines, on their way home
 * from other nodes, or in its quarantine (harden.h); approximate while threads run.  Takes the
 * locks of the inbox and, seldom, of central lists. */
void cache_count(struct heap *heap, uint64_t *caches, uint64_t objects[NH_CLASSES]);

/* Calls fn, which takes no lock, with every object in all caches' magazines and in
 * quarantine, and perhaps with some that threads which run now have taken out of them since
 * it began. */
void cache_each_object(void (*fn)(void *object, void *arg), void *arg);

/* The lock; and fork's.  The child keeps the caches of threads it does not have out
 * of use: what they held at that instant, a copy made while they ran, is not known. */
void cache_registry_lock(void);
void cache_registry_unlock(void);
void cache_registry_fork_lock(void);
void cache_registry_fork_unlock(void);
void cache_registry_only(struct cache *cache);

#endif
