/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * limits.h - the engine's constants and limits, once: those that more than one file uses, and
 * those that an operator may ask about.
 *
 * Anyone may include this; it includes nothing else of ours.
 */
#ifndef NH_LIMITS_H
#define NH_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* The heap's page, its unit of bookkeeping; a multiple of the system's page, or where
 * that is larger (os_page) a part of it. */
#define NH_PAGE_SHIFT 13
#define NH_PAGE       ((size_t)1 << NH_PAGE_SHIFT)

/* The smallest page a system has; mappings are aligned to it at least. */
#define NH_SYSTEM_PAGE ((size_t)4096)

/* Growth comes in multiples of the huge page, aligned to it. */
#define NH_HUGE_SHIFT 21
#define NH_HUGE       ((size_t)1 << NH_HUGE_SHIFT)
#define NH_HUGE_PAGES (NH_HUGE >> NH_PAGE_SHIFT)

/* A heap asks for 1/2^NH_GROW_SHIFT of what it has, within these bounds, so
 * that the number of system calls grows with the logarithm of the heap. */
#define NH_GROW_SHIFT 3
#define NH_GROW_MAX   ((size_t)64 << 20)

/* A heap takes this much from the system before it asks how much there is;
 * then it may take at most NH_QUOTA_STEP before it asks again. */
#define NH_QUOTA_FIRST ((size_t)16 << 20)
#define NH_QUOTA_STEP  ((size_t)64 << 20)

/* An object whose entries in the span table take this much (of 64 GiB, then) gets memory only
 * where they are no more than a part, by this shift, of what there is. */
#define NH_TABLE_UNASKED ((size_t)64 << 20)
#define NH_TABLE_SHIFT   1

/* What a heap takes from another at once: doubled each time, until it has not
 * taken anything for a while. */
#define NH_BORROW_FIRST ((size_t)128 << 10)
#define NH_BORROW_MAX   ((size_t)4 << 20)

/* Heaps grow downwards from places this far apart, so that each is one run of
 * addresses and the treap sees few borders. */
#define NH_ARENA_STRIDE ((uintptr_t)1 << 40)

/* So much that is free and resident, or in depots, is worth two instructions a malloc, which
 * then looks at the time (watch.h); and so little where spans are freed seldom. */
#define NH_WATCH_PAGES     (((size_t)512 << 10) >> NH_PAGE_SHIFT)
#define NH_WATCH_PAGES_FEW (((size_t)128 << 10) >> NH_PAGE_SHIFT)

/* What waits for NEARHEAP_DECAY, pages and depots, is looked at this many times in that time. */
#define NH_DECAY_STEPS 8
/* What is due goes in pieces, so that no malloc or free has to give back all of a peak: each so
 * long after the one before. */
#define NH_PIECE_MS 10

/* Span lengths below this have an exact list; longer ones go to the treap. */
#define NH_LISTED_PAGES 128

/* User addresses with four-level tables: 47 bits on x86-64, 48 on arm64. */
#define NH_ADDRESS_BITS 48

/* Smallest alignment of any object, and the step of the small size classes. */
#define NH_GRAIN_SHIFT 4
#define NH_GRAIN       ((size_t)1 << NH_GRAIN_SHIFT)

/* Sizes to here have a class every grain: the class is found without a table,
 * and internal waste stays under one grain. */
#define NH_SMALL_MAX ((size_t)1024)
/* Sizes to here have eight classes per doubling; larger objects have a span
 * of their own. */
#define NH_CLASS_MAX ((size_t)65536)

/* Class 0 is no class: the bin that is always empty and always full. */
#define NH_SMALL_CLASSES  64
#define NH_MEDIUM_CLASSES 48
#define NH_CLASSES        (1 + NH_SMALL_CLASSES + NH_MEDIUM_CLASSES)
/* What the span table says of the first page of a large object. */
#define NH_CLASS_LARGE 127
/* The same of the first page of nh_pages_alloc's memory. */
#define NH_CLASS_PAGES 126
/* The same of the page that an object between guard pages begins on (guard.h). */
#define NH_CLASS_GUARD 125
/* The same of a page with objects that free has to look at (special.h). */
#define NH_CLASS_SPECIAL 124
/* The same of a page with objects of a hardened process (harden.h): the lowest of these. */
#define NH_CLASS_HARDENED 123
#define NH_CLASS_SLOTS    128

/* Objects per span, so that the free bits fit in the span's descriptor. */
#define NH_SPAN_OBJECTS_MAX 512

/* Processors that are told apart, by number.  Where there may be more, the machine's nodes are
 * still known of these, and only threads have caches. */
#define NH_CPUS_MAX 4096

/* Nodes with a heap.  Nodes beyond share the last heap. */
#define NH_NODES_MAX 64
/* All heaps: one a node, and one whose memory is interleaved over nodes. */
#define NH_HEAP_INTERLEAVED NH_NODES_MAX
#define NH_HEAPS            (NH_NODES_MAX + 1)

#define NH_CACHE_LINE 64

/* A magazine with its header is this large and aligned to its size. */
#define NH_MAGAZINE_BYTES 512

/* Objects in full magazines that a central list keeps before it takes them apart, in
 * bytes: at first, and at most where threads wait for its lock. */
#define NH_DEPOT_FIRST ((size_t)32 << 10)
#define NH_DEPOT_MOST  ((size_t)4 << 20)

/* Address space for metadata is obtained in chunks of this size.  Where the system gives none,
 * this much, or more within the second, is taken out of a heap's pages if it has so many. */
#define NH_META_CHUNK      ((size_t)256 << 10)
#define NH_META_CHUNK_MOST ((size_t)2 << 20)

/* Most objects, and bytes of them, that wait in the quarantine of a hardened process's
 * heap. */
#define NH_QUARANTINE_OBJECTS 8192
#define NH_QUARANTINE_BYTES   ((size_t)4 << 20)

/* Objects between guard pages, live and freed ones together: each may cost four mappings, and
 * while it is live up to NH_CLASS_MAX bytes of memory. */
#define NH_GUARD_SLOTS 128
/* Calls that are kept of who allocated such an object, and of who freed it. */
#define NH_GUARD_FRAMES 32

/* Longest line this library prints. */
#define NH_LINE_MAX 512

#endif
