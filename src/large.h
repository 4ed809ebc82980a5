/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * large.h - objects above NH_CLASS_MAX, or aligned beyond a page: each has a
 * span of its own.
 *
 * Thread-safe; errno is the caller's.
 */
#ifndef NH_LARGE_H
#define NH_LARGE_H

#include "base.h"

struct heap;
struct span;

/* The heap that an object of this size, asked for by the calling thread, comes
 * from; NULL without memory. */
struct heap *large_heap(size_t size);

/* `alignment` is a power of two.  *zeroed tells whether the memory is known to
 * be zero, and better not written to make it so.  NULL without memory, or when size + alignment
 * overflows. */
void *large_alloc(struct heap *heap, size_t size, size_t alignment, bool *zeroed);
/* The same, but not for a profile to sample: it has. */
void *large_alloc_unsampled(struct heap *heap, size_t size, size_t alignment, bool *zeroed);
/* `ptr` has the home word of a large object. */
void large_free(void *ptr);
/* Whole pages outside all objects (nh_pages_alloc); NULL without memory. */
void *large_pages_alloc(struct heap *heap, size_t pages);
/* A pointer that is not one of these is reported. */
void large_pages_free(void *ptr);
size_t large_usable_size(const void *ptr);
/* A size above NH_CLASS_MAX: in place, by moving pages, or by copying; NULL
 * leaves the object as it is. */
void *large_realloc(void *ptr, size_t size);

#endif
