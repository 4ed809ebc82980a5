/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * harden.h - the hardened process (NEARHEAP_HARDEN=1): what is done there so that a program
 * that uses memory wrongly is found out, or does something else each time.
 *
 *  - An object of a size class ends with a check word (check_word.h), and what lies unused
 *    between it and what was asked for is filled.  Both are verified by free and realloc.
 *  - A freed object is filled with a pattern and waits in the quarantine of its heap
 *    (quarantine.h).  Its check word says that it is free.  When it leaves, the pattern is
 *    verified and the object is zeroed; when it is given out again, it must be zero.
 *    So all free memory of a hardened process is zero (large objects: guard_pages.h).
 *  - malloc gives out any of the free objects of a span, by random numbers (keystream.h).
 *  - Metadata and large objects lie between guard pages (guard_map.h, guard_pages.h).
 *
 * It is decided when the process boots, and costs others nothing.  The home words of pages
 * with objects then name NH_CLASS_HARDENED, whose bins are always full (row.h); malloc's
 * entry is another one (fast.c); and no thread or CPU has a cache.  So all come here.
 *
 * Thread-safe, errno is the caller's.  No lock may be held.
 */
#ifndef NH_HARDEN_H
#define NH_HARDEN_H

#include "guard_map.h"
#include "limits.h"

struct heap;

/* Process start, when options are read. */
void harden_boot(void);

/* What the heap of `slot` has of this; NULL without memory. */
struct harden *harden_heap_new(unsigned slot);

/* As fast.h's; which class it is shows from the others. */
void *harden_malloc(size_t size);
void *harden_malloc_class(size_t alignment, size_t size, unsigned cls);
/* An object of at most NH_CLASS_MAX bytes from that heap; NULL without memory. */
void *harden_alloc(struct heap *heap, size_t size);

/* Of a page whose home word names NH_CLASS_HARDENED. */
NH_SLOW void harden_free(void *ptr);
/* What was asked for. */
size_t harden_usable_size(const void *ptr);
/* Whether that is it; true also where no live object is, which harden_check reports. */
bool harden_has_size(const void *ptr, size_t size);
/* The live object becomes one of `size` bytes, at most what it has. */
NH_SLOW void harden_shrink(void *ptr, size_t size);
/* Whether a live object is there; reports what is not, or what was written behind it.  `call`
 * is as for bad_pointer_report. */
bool harden_check(const char *call, const void *ptr);

/* All objects leave quarantine; whether there were any. */
bool harden_drain(void);
/* Adds what waits there, by class. */
void harden_count(const struct heap *heap, uint64_t objects[NH_CLASSES]);
/* Calls fn, which takes no lock, with every object there. */
void harden_each_object(void (*fn)(void *object, void *arg), void *arg);

/* fork: the child's random numbers are others. */
void harden_lock_all(void);
/* Of a heap that a handler of fork's made, as in harden_lock_all. */
void harden_fork_lock(const struct heap *heap);
void harden_unlock_all(void);
void harden_fork_child(void);

#endif
