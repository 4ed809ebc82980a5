/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * aligned.c - the functions that take an alignment.
 *
 * A size class whose objects are all so aligned where there is one, else a span
 * of its own.
 */
#include "cache.h"
#include "export.h"
#include "fast.h"
#include "large.h"
#include "memcheck_family.h"
#include "os.h"
#include "size_class.h"

#include <errno.h>

/* What does not come to a small class, and all that memcheck looks at. */
static NH_NOINLINE void *alloc_aligned_rest(size_t alignment, size_t size)
{
    if (nh_unlikely(size > PTRDIFF_MAX))
        return NULL;
    if (memcheck_on())
        return memcheck_aligned(alignment, size);
    if (alignment <= NH_CLASS_MAX && size <= NH_CLASS_MAX) {
        unsigned cls = size_class_aligned(size, alignment);
        if (cls != 0)
            return fast_malloc_class(alignment, size, cls);
    }
    struct heap *heap = large_heap(size);
    bool zeroed;
    return heap != NULL ? large_alloc(heap, size, alignment, &zeroed) : NULL;
}

/* `alignment` is a power of two; NULL without memory, errno untouched. */
NH_INLINE void *alloc_aligned(size_t alignment, size_t size)
{
    unsigned cls = size_class_aligned_small(size, alignment);
    if (nh_unlikely(cls == 0) || memcheck_on())
        return alloc_aligned_rest(alignment, size);
    return fast_malloc_class(alignment, size, cls);
}

static NH_SLOW void *invalid(void)
{
    errno = EINVAL;
    return NULL;
}

/* The same, and errno is set. */
NH_INLINE void *alloc_aligned_or_errno(size_t alignment, size_t size)
{
    void *object = alloc_aligned(alignment, size);
    return nh_likely(object != NULL) ? object : fast_out_of_memory();
}

int nh_posix_memalign(void **out, size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment) || alignment % sizeof(void *) != 0)
        return EINVAL;
    void *object = alloc_aligned(alignment, size);
    if (object == NULL)
        return ENOMEM;
    *out = object;
    return 0;
}
NH_LIBC_NAME(posix_memalign, nh_posix_memalign);

/* As glibc: an alignment that is no power of two is rounded up to one. */
void *nh_memalign(size_t alignment, size_t size)
{
    if (nh_unlikely(!is_power_of_two(alignment))) {
        if (alignment > SIZE_MAX / 2 + 1)
            return invalid();
        size_t power = 1;
        while (power < alignment)
            power *= 2;
        alignment = power;
    }
    return alloc_aligned_or_errno(alignment, size);
}
NH_LIBC_NAME(memalign, nh_memalign);

/* C17 wants it to fail for what is no alignment; so does glibc from 2.38 on. */
void *nh_aligned_alloc(size_t alignment, size_t size)
{
    if (nh_unlikely(!is_power_of_two(alignment)))
        return invalid();
    return alloc_aligned_or_errno(alignment, size);
}
NH_LIBC_NAME(aligned_alloc, nh_aligned_alloc);

void *nh_valloc(size_t size)
{
    return nh_memalign(os_page(), size);
}
NH_LIBC_NAME(valloc, nh_valloc);

void *nh_pvalloc(size_t size)
{
    size_t page = os_page();
    if (nh_unlikely(size > PTRDIFF_MAX - page)) {
        errno = ENOMEM;
        return NULL;
    }
    /* Whole pages: of 0 bytes one, too. */
    return nh_memalign(page, size == 0 ? page : round_up(size, page));
}
NH_LIBC_NAME(pvalloc, nh_pvalloc);
