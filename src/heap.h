/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * heap.h - everything one NUMA node has, and the table of heaps: one a node,
 * and the interleaved one, which has large objects and pages only.
 *
 * Heaps are created at the first allocation on their node and live for ever.
 */
#ifndef NH_HEAP_H
#define NH_HEAP_H

#include "central.h"
#include "numa/room.h"
#include "page_heap.h"

#include <stdatomic.h>

/* Magazines of objects of this heap that threads of other nodes freed. */
struct inbox {
    struct lock lock;
    _Atomic uint32_t count; /* changed under the lock; relaxed: a look tells whether to take it */
    struct magazine *first; /* guarded by lock */
} __attribute__((aligned(2 * NH_CACHE_LINE)));

struct heap {
    struct page_heap pages;
    struct fixalloc magazines;
    struct fixalloc caches;   /* caches of CPUs of this node, and of threads that began there */
    struct fixalloc specials; /* records of this heap's objects */
    struct harden *harden;    /* NULL: the process is not hardened; constant */
    unsigned slot;            /* index of this heap; constant */
    struct lock reclaiming;   /* no fields: one heap_reclaim at a time */
    _Atomic size_t granted;   /* bytes of a magazine that caches may have; relaxed */
    _Atomic uint32_t
        cache_count; /* caches that serve this node; changed under the registry's lock; relaxed */
    _Atomic uint64_t ticked_ms;  /* last heap_tick that did something */
    _Atomic size_t borrow_bytes; /* size of the next loan; relaxed */
    struct room_plan bound;      /* with the policy bind; guarded by LOCK_ROOM */
    /* Pages of this heap that each other one has; relaxed. */
    _Atomic size_t lent_to[NH_NODES_MAX];
    /* Objects of this heap's size classes that threads of each node freed, counted when they come
     * back, and large objects; relaxed. */
    _Atomic uint64_t freed_from[NH_NODES_MAX];
    /* Statistics, relaxed. */
    _Atomic size_t large_objects, large_pages;
    _Atomic uint64_t reclaims, refusals;
    struct inbox inbox;
    /* Where the list of a class is in `central`, 0 while it has none; how many there are.  Both
     * change under the lock of creation, release; they pair with heap_central, heap_centrals. */
    _Atomic uint8_t place[NH_CLASSES];
    _Atomic uint8_t centrals;
    /* In the order in which their classes were first asked for: what never is touches no
     * memory.  [0] unused. */
    struct central central[NH_CLASSES];
};

/* The heap of a slot, created if need be; NULL without memory.  The process
 * has booted (process.h). */
struct heap *heap_get(unsigned slot);
/* The same if it exists. */
struct heap *heap_if_exists(unsigned slot);
/* For all that exist: the first after NULL, by slots, and NULL after the last. */
struct heap *heap_after(const struct heap *heap);
/* The list of a class, begun if need be; who may do that holds no lock.  There is one where
 * there are objects of the class. */
NH_SLOW struct central *heap_begin_central(struct heap *heap, unsigned cls);
NH_INLINE struct central *heap_central(struct heap *heap, unsigned cls)
{
    unsigned place = atomic_load_explicit(&heap->place[cls], memory_order_acquire);
    return nh_likely(place != 0) ? &heap->central[place] : heap_begin_central(heap, cls);
}
/* The lists that there are: central[1] to this one. */
NH_INLINE unsigned heap_centrals(const struct heap *heap)
{
    return atomic_load_explicit(&heap->centrals, memory_order_acquire);
}
/* The option about caches has changed: so have the rounds of all central lists. */
void heap_change_rounds(void);
/* The limit of nodes' memory becomes what `text`, which is sound (node_limit.h), says. */
void heap_change_limits(const char *text);

/* ---- heap_metadata.c ---- */

/* Zeroed memory for the heap of `slot`, which is not given back; NULL when neither the
 * system nor any heap has some. */
void *heap_memory(unsigned slot, size_t bytes);
/* Lets fixalloc_get, of one of the heap's, return a record if there is memory as above. */
void heap_supply(struct heap *heap, struct fixalloc *fix);
/* As fixalloc_get, after that. */
void *heap_record(struct heap *heap, struct fixalloc *fix, bool *fresh);

/* ---- heap_inbox.c ---- */

/* Objects of `home`, freed by a thread of another node, in a magazine that its
 * own node's heap made: they go home, and the magazine goes back when it is
 * empty. */
void heap_send(struct heap *home, struct magazine *magazine);
/* Puts what at most `most` magazines hold into spans. */
void heap_open_inbox(struct heap *heap, unsigned most);
void heap_open_all_inboxes(void);
/* Calls fn, which takes no lock, with every object that waits. */
void heap_inbox_each(struct heap *heap, void (*fn)(void *object, void *arg), void *arg);
/* Puts objects of any homes into their spans at once, and the magazine back. */
void heap_unpack(struct magazine *magazine);
void heap_unpack_all(struct magazine *list);

/* ---- heap_span.c ---- */

/* A span for this heap, from its own pages, from the system, or borrowed from
 * other nodes; NULL when there is no memory anywhere.  `want->may_grow` is
 * false. */
struct span *heap_span_alloc(struct heap *heap, const struct span_request *want);
/* For who has another way before the caller is refused: the same, and what is counted and told
 * when there is none. */
struct span *heap_span_try(struct heap *heap, const struct span_request *want);
void heap_span_refused(struct heap *heap, const struct span_request *want);
/* As page_heap_free; borrowed pages go home. */
void heap_span_free(struct heap *heap, struct span *span, bool zeroed);
/* As page_heap_shrink; the same. */
void heap_span_shrink(struct heap *heap, struct span *span, size_t pages);
/* Gives all borrowed pages that are free back to their lenders. */
void heap_repay(struct heap *heap);

/* What caches may hold, by what the heap uses now and how many they are. */
void heap_renew_grant(struct heap *heap);

/* A magazine with no objects; NULL without memory. */
struct magazine *heap_magazine_new(struct heap *heap);

/* Collects what the heap is owed into its page heap: with `all` the full
 * magazines of the depots, spare magazines of caches and batches waiting
 * for other nodes; else only the depots' magazines that lay unused since the
 * last time.  Waits for another that does. */
void heap_reclaim(struct heap *heap, bool all);
/* All of all heaps, after what this thread and all CPUs cache and what is in quarantine. */
void heap_reclaim_everything(void);
/* With all, but not when somebody is at it: then what it finds is on its way. */
void heap_try_reclaim(struct heap *heap);

/* Bytes of objects that a reclaim of all would find in the depots. */
size_t heap_owed(struct heap *heap);

/* Pages that are free or in depots: what time gives back. */
size_t heap_waiting_pages(struct heap *heap);

/* The slow work of time: what lies unused goes back to spans, and free pages
 * past their decay time to the system.  False, and cheap, when it is not due. */
bool heap_tick(struct heap *heap);
/* How often it is due, milliseconds; where nothing decays it never is. */
uint64_t heap_tick_ms(void);

/* fork: the lock of creation; a heap's `reclaiming`, which comes before the
 * registry of caches; then all its other locks, in rank order. */
void heap_creation_lock(void);
void heap_creation_unlock(void);
void heap_lock_all(struct heap *heap);
void heap_unlock_all(struct heap *heap);

/* Counts objects that have a span of their own; less is added modulo 2^64. */
NH_INLINE void heap_count_large(struct heap *heap, size_t objects, size_t pages)
{
    atomic_fetch_add_explicit(&heap->large_objects, objects, memory_order_relaxed);
    atomic_fetch_add_explicit(&heap->large_pages, pages, memory_order_relaxed);
}

#endif
