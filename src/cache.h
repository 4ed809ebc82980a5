/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cache.h - the front: a thread's cache, and the slow paths behind the fast
 * ones of malloc.c.
 *
 * A cache has at most two magazines of a class, all of the node the thread
 * runs on: one loaded in the row (row.h), touched by its thread alone, and a
 * spare.  Objects of other nodes wait in magazines of a third kind, an outbox
 * for each node, until one is full and goes home as it is.
 *
 * Spares and outboxes lie in atomic slots: whoever wants one, the owner too,
 * exchanges it for NULL, and so has it alone; so others can collect what a
 * sleeping thread holds, at any time, and the fast paths pay nothing for it.
 * The exchange is acquire, the store that puts a magazine there release: the
 * pair hands over its count and objects.
 */
#ifndef NH_CACHE_H
#define NH_CACHE_H

#include "heap.h"
#include "row.h"

struct cache {
    /* In the registry; guarded by its lock. */
    struct cache *next, *prev;
    struct heap *_Atomic heap; /* of the thread's present node; relaxed: others read it as a hint */
    struct heap *birthplace;   /* whose memory the cache is; constant */
    uint32_t thread_number;    /* constant while attached */
    uint32_t changes_seen;     /* topology_changes when heap was chosen; the thread's */
    bool ask_always;           /* the CPU cannot be watched; the thread's */
    uint8_t want[NH_CLASSES];  /* objects the next refill takes from spans; the thread's */
    _Atomic(struct magazine *) spare[NH_CLASSES];
    _Atomic uint8_t spare_count[NH_CLASSES]; /* objects in it when it was put there; statistics */
    /* By home slot: objects of any class that other nodes wait for. */
    _Atomic(struct magazine *) outbox[NH_NODES_MAX];
    /* topology_now()->slots of them. */
    struct row rows[] __attribute__((aligned(NH_CACHE_LINE)));
};

/* Bytes of a cache with rows for all slots. */
size_t cache_bytes(void);

/* ---- cache.c: by the thread that owns the cache ---- */

/* An object of class `cls` when the bin was empty or the thread may have
 * moved; NULL without memory (errno is the caller's). */
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

/* Gives back all that the calling thread caches; it may go on. */
void cache_flush(void);

/* Called with the thread's cache when the thread ends. */
void cache_thread_end(void *cache);

/* Process start and the child of a fork. */
void cache_init(void);

/* ---- cache_registry.c: all caches, from any thread ---- */

void cache_register(struct cache *cache);
void cache_unregister(struct cache *cache);

/* Gives back the spare magazines of all caches that are of `heap`, and all
 * outboxes go home; or only these. */
void cache_collect(struct heap *heap);
void cache_collect_outboxes(void);

/* Caches on `heap` and the bytes of objects in their magazines; approximate
 * while their threads run. */
void cache_count(const struct heap *heap, uint64_t *threads, uint64_t *bytes);

/* fork.  The child keeps the caches of threads it does not have out of use:
 * what they held at that instant, a copy made while they ran, is not known. */
void cache_registry_lock(void);
void cache_registry_unlock(void);
void cache_registry_only(struct cache *cache);

#endif
