/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cache.h - the front: a cache, and the slow paths behind the fast ones of
 * fast.c.  Caches are CPUs'; where that cannot be or does not pay (cpu_cache.h), and
 * for threads that were told their node, threads'.
 *
 * A cache has at most two magazines of a class, all of its node: one loaded in
 * the row (row.h), and a spare.  Objects of other nodes wait in magazines of a
 * third kind, an outbox for each node, until one is full and goes home as it is.
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

#include "heap.h"
#include "row.h"

#define CACHE_NO_CPU (-1)

struct cache {
    /* In the registry; guarded by its lock. */
    struct cache *next, *prev;
    /* The node it serves: a CPU's cache always the same, a thread's that of the thread's
     * present one; relaxed: others read it as a hint. */
    struct heap *_Atomic heap;
    struct heap *birthplace;          /* whose memory the cache is; constant */
    int32_t cpu;                      /* whose it is, or CACHE_NO_CPU; constant while in use */
    uint32_t thread_number;           /* of a thread's; constant while attached */
    _Atomic uint32_t changes_seen;    /* topology_changes when heap was chosen; relaxed */
    _Atomic uint8_t want[NH_CLASSES]; /* objects the next refill takes from spans; relaxed */
    _Atomic uint8_t spare_count[NH_CLASSES]; /* objects in it when it was put there; statistics */
    _Atomic(struct magazine *) spare[NH_CLASSES];
    /* By home slot: objects of any class that other nodes wait for. */
    _Atomic(struct magazine *) outbox[NH_NODES_MAX];
    /* topology_now()->slots of them. */
    struct row rows[];
};

/* Bytes of a cache with rows for all slots. */
size_t cache_bytes(void);

/* ---- cache.c: by any thread, with the cache it has at the moment ---- */

/* An object of class `cls` when the bin was empty; NULL without memory (errno is
 * the caller's). */
NH_SLOW void *cache_refill(unsigned cls);

/* Frees a pointer whatever it is, NULL too. */
NH_SLOW void cache_free_slow(void *ptr);

/* An object of `heap` was freed by the calling thread, and no batch will count
 * it: counts where. */
void cache_count_free(struct heap *heap);

/* The calling thread's present heap; NULL without memory. */
struct heap *cache_heap(void);

/* From now on the calling thread's memory comes from the heap of `slot`, or
 * with CACHE_FOLLOW again from that of the node it runs on. */
#define CACHE_FOLLOW NH_NODES_MAX
void cache_fix_slot(unsigned slot);

/* Gives back all that the calling thread and all CPUs cache. */
void cache_flush(void);

/* Called with the thread's cache when the thread ends. */
void cache_thread_end(void *cache);

/* Process start. */
void cache_init(void);

/* ---- Time: a look at the clock, and at what it gives to do, once in so many calls ---- */

#define CACHE_TICK_CALLS 64
/* Of the thread: refills, and calls of the functions that are not malloc and free. */
extern _Thread_local uint32_t cache_tick_calls
    __attribute__((visibility("hidden"), tls_model("initial-exec")));
NH_SLOW void cache_tick(void);

/* Counts a call.  A program with little to do finds all it wants in caches and refills
 * nothing; that what it freed before goes back to the system hangs on its other calls. */
NH_INLINE void cache_count_call(void)
{
    if (nh_unlikely(cache_tick_calls++ % CACHE_TICK_CALLS == 0))
        cache_tick();
}

/* ---- For cpu_cache.c ---- */

/* A CPU's cache of a node, found or made; NULL without memory.  The caller holds
 * the registry's lock. */
struct cache *cache_for_cpu(struct heap *heap, uint32_t cpu);
/* Gives back all that a cache holds that nobody else uses meanwhile. */
void cache_empty(struct cache *cache);
NH_INLINE struct heap *cache_heap_of(const struct cache *cache)
{
    return atomic_load_explicit(&cache->heap, memory_order_relaxed);
}

/* ---- cache_registry.c: all caches, from any thread ---- */

/* These two, find and empty: the caller holds the lock below. */
void cache_register(struct cache *cache);
void cache_unregister(struct cache *cache);
/* The cache of a CPU and node, or NULL. */
struct cache *cache_registry_find(const struct heap *heap, uint32_t cpu);
/* Empties all CPUs' caches, which are closed. */
void cache_registry_empty_cpus(void);

/* Gives back the spare magazines of all caches that are of `heap`, and all
 * outboxes go home; or only these. */
void cache_collect(struct heap *heap);
void cache_collect_outboxes(void);

/* Caches on `heap` and the bytes of objects in their magazines; approximate
 * while their threads run. */
void cache_count(const struct heap *heap, uint64_t *caches, uint64_t *bytes);

/* The lock; and fork.  The child keeps the caches of threads it does not have out
 * of use: what they held at that instant, a copy made while they ran, is not known. */
void cache_registry_lock(void);
void cache_registry_unlock(void);
void cache_registry_only(struct cache *cache);

#endif
