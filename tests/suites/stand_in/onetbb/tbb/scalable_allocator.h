// SPDX-License-Identifier: LGPL-2.1-or-later
//
// oneTBB's names for what the C library has under others.
#pragma once
#include <malloc.h>
#include <memory>
#include <stdlib.h>
#include <string.h>

#define scalable_malloc         malloc
#define scalable_calloc         calloc
#define scalable_realloc        realloc
#define scalable_free           free
#define scalable_posix_memalign posix_memalign
#define scalable_aligned_free   free
#define scalable_msize          malloc_usable_size

namespace tbb
{
template <class T> using scalable_allocator = std::allocator<T>;
}

// Of errors, these two tell as their names' owner does: C leaves alignments that are none to
// the library.
static inline void *scalable_aligned_malloc(size_t size, size_t alignment)
{
    if (!size || !alignment || (alignment & (alignment - 1))) {
        errno = EINVAL;
        return nullptr;
    }
    return memalign(alignment, size);
}

static inline void *scalable_aligned_realloc(void *object, size_t size, size_t alignment)
{
    if (!alignment || (alignment & (alignment - 1))) {
        errno = EINVAL;
        return nullptr;
    }
    if (object && !size) {
        free(object);
        return nullptr;
    }
    void *moved = memalign(alignment, size);
    if (moved && object) {
        size_t had = malloc_usable_size(object);
        memcpy(moved, object, had < size ? had : size);
        free(object);
    }
    return moved;
}

enum { TBBMALLOC_OK, TBBMALLOC_SET_SOFT_HEAP_LIMIT };

static inline int scalable_allocation_mode(int what, long value)
{
    (void)what, (void)value;
    return TBBMALLOC_OK;
}
