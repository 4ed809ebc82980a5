// SPDX-License-Identifier: LGPL-2.1-or-later
//
// mimalloc's names for what the C library has under others.  Of what only mimalloc has (heaps,
// an offset to what is aligned, zero in what memalign gives and realloc adds), there is as much as
// the tests need to build; what they find of it does not count (../../left_out.txt).
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// As in its mimalloc-types.h.
#define MI_ALIGNMENT_MAX  ((size_t)16 << 20)
#define MI_MAX_ALIGN_SIZE 16
#define MI_SMALL_SIZE_MAX (128 * sizeof(void *))

#define mi_malloc         malloc
#define mi_calloc         calloc
#define mi_realloc        realloc
#define mi_reallocarray   reallocarray
#define mi_free           free
#define mi_posix_memalign posix_memalign
#define mi_memalign       memalign
#define mi_usable_size    malloc_usable_size
#define mi_strdup         strdup
#define mi_realpath       realpath

static inline void *mi_zalloc(size_t size)
{
    return calloc(1, size);
}
#define mi_zalloc_small mi_zalloc

// Any power of two is an alignment there.
static inline void *mi_malloc_aligned(size_t size, size_t alignment)
{
    return memalign(alignment, size);
}

// What only mimalloc has, from here.

static inline void *mi_malloc_aligned_at(size_t size, size_t alignment, size_t offset)
{
    (void)offset;
    return memalign(alignment, size);
}

#define mi_zalloc_aligned(size, alignment)        memalign(alignment, size)
#define mi_calloc_aligned(count, size, alignment) memalign(alignment, (count) * (size))

static inline void *mi_rezalloc(void *object, size_t size)
{
    return realloc(object, size);
}
#define mi_recalloc(object, count, size)                    realloc(object, (count) * (size))
#define mi_rezalloc_aligned(object, size, alignment)        realloc(object, size)
#define mi_recalloc_aligned(object, count, size, alignment) realloc(object, (count) * (size))

typedef struct {
    int unused;
} mi_heap_t;

static inline mi_heap_t *mi_heap_new(void)
{
    static mi_heap_t only;
    return &only;
}
#define mi_heap_malloc(heap, size)                    ((void)(heap), malloc(size))
#define mi_heap_malloc_tp(heap, type)                 ((type *)mi_heap_malloc(heap, sizeof(type)))
#define mi_heap_malloc_aligned(heap, size, alignment) ((void)(heap), memalign(alignment, size))
#define mi_heap_contains_block(heap, block)           ((block) != NULL)
#define mi_heap_destroy(heap)                         ((void)(heap))
#define mi_heap_delete(heap)                          ((void)(heap))

#define mi_option_verbose     0
#define mi_option_disable(of) ((void)(of))
#define mi_stats_reset()      ((void)0)
#define mi_stats_print(to)    ((void)(to))

#ifdef __cplusplus
#include <memory>
template <class T> using mi_stl_allocator = std::allocator<T>;
template <class T> using mi_heap_stl_allocator = std::allocator<T>;
template <class T> using mi_heap_destroy_stl_allocator = std::allocator<T>;
#endif
