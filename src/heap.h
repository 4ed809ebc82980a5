/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * heap.h - everything one NUMA node has, and the table of heaps.
 *
 * Heaps are created at the first allocation on their node and live for ever.
 */
#ifndef NH_HEAP_H
#define NH_HEAP_H

#include "central.h"
#include "page_heap.h"

#include <stdatomic.h>

struct heap {
    struct page_heap pages;
    struct fixalloc magazines;
    struct fixalloc caches;     /* thread caches of threads that began on this node */
    unsigned slot;              /* index of this heap; constant */
    struct lock reclaiming;     /* no fields: one heap_reclaim at a time */
    _Atomic uint64_t ticked_ms; /* last heap_tick that did something; relaxed */
    /* Statistics, relaxed. */
    _Atomic size_t large_objects, large_pages;
    _Atomic uint64_t remote_frees, reclaims;
    struct central central[NH_CLASSES]; /* [0] unused */
};

/* The heap of a slot, created if need be; NULL without memory.  The process
 * has booted (process.h). */
struct heap *heap_get(unsigned slot);
/* The same if it exists. */
struct heap *heap_if_exists(unsigned slot);

/* A span from this node's pages: what is free, else what is reclaimed, else
 * what the system grants. */
struct span *heap_span_alloc(struct heap *heap, size_t pages, size_t align_pages, uint8_t cls);

/* A magazine with no objects; NULL without memory. */
struct magazine *heap_magazine_new(struct heap *heap);

/* Collects what the heap is owed into its page heap: with `all` the full
 * magazines of the depots, spare magazines of thread caches and batches waiting
 * for other nodes; else only the depots' magazines that lay unused since the
 * last time.  Waits for another that does. */
void heap_reclaim(struct heap *heap, bool all);

/* Bytes of objects that a reclaim of all would find in the depots. */
size_t heap_owed(struct heap *heap);

/* The slow work of time: what lies unused goes back to spans, and free pages
 * past their decay time to the system.  Cheap when it is not due. */
void heap_tick(struct heap *heap);

/* fork: the lock of creation; a heap's `reclaiming`, which comes before the
 * registry of caches; then all its other locks, in rank order. */
void heap_creation_lock(void);
void heap_creation_unlock(void);
void heap_lock_all(struct heap *heap);
void heap_unlock_all(struct heap *heap);

#endif
