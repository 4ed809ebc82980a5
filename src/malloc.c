/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * malloc.c - malloc and free, and what is built on them alone.  Their fast paths
 * are in fast.c.
 */
#include "bad_pointer.h"
#include "export.h"
#include "fast.h"
#include "guard.h"
#include "harden.h"
#include "large.h"
#include "limits.h"
#include "memcheck_family.h"
#include "size_class.h"
#include "special.h"

#include <errno.h>
#include <string.h>

/* ---- malloc ---- */

void *nh_malloc(size_t size)
{
    return fast_malloc(size);
}
NH_LIBC_NAME(malloc, nh_malloc);

void *nh_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (nh_unlikely(__builtin_mul_overflow(count, size, &bytes)))
        return fast_out_of_memory();
    if (nh_likely(bytes <= NH_CLASS_MAX) || memcheck_on()) {
        void *object = fast_malloc(bytes);
        return nh_likely(object != NULL) ? memset(object, 0, bytes) : NULL;
    }
    struct heap *heap = large_heap(bytes);
    bool zeroed = false;
    void *object = heap != NULL ? large_alloc(heap, bytes, NH_GRAIN, &zeroed) : NULL;
    if (nh_unlikely(object == NULL))
        return fast_out_of_memory();
    return zeroed ? object : memset(object, 0, bytes);
}
NH_LIBC_NAME(calloc, nh_calloc);

/* ---- free ---- */

void nh_free(void *ptr)
{
    fast_free(ptr);
}
NH_LIBC_NAME(free, nh_free);

/* The size class (or whole pages, or between guard pages what was asked for) that an object was
 * given out with. */
static size_t usable_size(const void *ptr, uint32_t home)
{
    unsigned cls = row_home_class(home);
    if (nh_likely(cls < NH_CLASSES))
        return size_class_bytes(cls);
    if (cls == NH_CLASS_GUARD)
        return guard_usable_size(ptr);
    return cls == NH_CLASS_HARDENED ? harden_usable_size(ptr) : large_usable_size(ptr);
}

size_t nh_malloc_usable_size(void *ptr)
{
    if (memcheck_on())
        return memcheck_usable_size(ptr);
    uint32_t home = object_home(ptr);
    return home != 0 ? usable_size(ptr, home) : 0;
}
NH_LIBC_NAME(malloc_usable_size, nh_malloc_usable_size);

static void check_size(const void *ptr, size_t alignment, size_t size)
{
    uint32_t home = object_home(ptr);
    if (ptr == NULL || home == 0)
        return; /* free says what it is */
    bool fits = row_home_class(home) == NH_CLASS_HARDENED ? harden_has_size(ptr, size)
                                                          : size <= usable_size(ptr, home);
    if (nh_unlikely(!fits || ((uintptr_t)ptr & (alignment - 1)) != 0))
        bad_pointer_size(ptr, usable_size(ptr, home), size);
}

void fast_free_checked(void *ptr, size_t size)
{
    check_size(ptr, 1, size);
    fast_free(ptr);
}

void nh_free_sized(void *ptr, size_t size)
{
    fast_free_sized(ptr, size);
}
NH_LIBC_NAME(free_sized, nh_free_sized);

void nh_free_aligned_sized(void *ptr, size_t alignment, size_t size)
{
    check_size(ptr, alignment, size);
    fast_free(ptr);
}
NH_LIBC_NAME(free_aligned_sized, nh_free_aligned_sized);

/* ---- realloc ---- */

/* An object keeps its place while the new size needs at least this part of
 * it. */
#define REALLOC_KEEP_SHIFT 1

static void *realloc_copy(void *ptr, size_t had, size_t size)
{
    int saved = errno;
    void *object = nh_malloc(size);
    if (nh_unlikely(object == NULL)) {
        if (size > had)
            return NULL;
        errno = saved; /* to have less is never refused */
        if (row_home_class(object_home(ptr)) == NH_CLASS_HARDENED)
            harden_shrink(ptr, size);
        return ptr;
    }
    memcpy(object, ptr, had < size ? had : size);
    nh_free(ptr);
    return object;
}

/* Whether an object of the class may be there; reports what cannot be one.  Whether a small one
 * begins at an address of its alignment is not asked: what lies inside it is found when it is
 * freed. */
NH_INLINE bool may_be_object(const void *ptr, unsigned cls)
{
    if (nh_unlikely(cls == NH_CLASS_HARDENED))
        return harden_check("realloc", ptr);
    if (nh_unlikely(cls == NH_CLASS_GUARD))
        return guard_check("realloc", ptr);
    /* Spans begin with a page, and of a large object the first page alone has this class. */
    size_t alignment = cls < NH_CLASSES ? size_class_alignment(size_class_bytes(cls)) : NH_PAGE;
    if (nh_likely(((uintptr_t)ptr & (alignment - 1) & (NH_PAGE - 1)) == 0))
        return true;
    bad_pointer_report("realloc", ptr);
    return false;
}

/* Of an object with this home word, to a size that is not 0. */
NH_INLINE void *realloc_object(void *ptr, size_t size, uint32_t home)
{
    unsigned cls = row_home_class(home);
    if (nh_unlikely(cls == 0 || cls == NH_CLASS_PAGES)) {
        bad_pointer_report("realloc", ptr);
        return fast_out_of_memory();
    }
    if (cls == NH_CLASS_LARGE && size > NH_CLASS_MAX) {
        void *object = large_realloc(ptr, size);
        return nh_likely(object != NULL) ? object : fast_out_of_memory();
    }
    if (nh_unlikely(!may_be_object(ptr, cls)))
        return fast_out_of_memory();
    size_t had = usable_size(ptr, home);
    /* What ends at the byte that was asked for shall do so again. */
    bool rounded = nh_likely(cls < NH_CLASSES) || cls == NH_CLASS_LARGE;
    if (size <= had && size > had >> REALLOC_KEEP_SHIFT && (nh_likely(rounded) || size == had))
        return ptr;
    return realloc_copy(ptr, had, size);
}

/* The finalizer stays with the object, wherever that goes: it does not run. */
static NH_SLOW void *realloc_special(void *ptr, size_t size)
{
    struct special *finalizer = special_unlink(ptr, SPECIAL_FINALIZER);
    void *object = realloc_object(ptr, size, object_home(ptr));
    if (finalizer != NULL)
        (void)special_link(finalizer, object != NULL ? object : ptr);
    return object;
}

void *nh_realloc(void *ptr, size_t size)
{
    if (ptr == NULL)
        return nh_malloc(size);
    if (nh_unlikely(size == 0)) { /* as glibc */
        nh_free(ptr);
        return NULL;
    }
    if (memcheck_on())
        return memcheck_realloc(ptr, size);
    uint32_t home = span_table_home((uintptr_t)ptr);
    if (nh_unlikely(row_home_class(home) == NH_CLASS_SPECIAL))
        return realloc_special(ptr, size);
    return realloc_object(ptr, size, home);
}
NH_LIBC_NAME(realloc, nh_realloc);

void *nh_reallocarray(void *ptr, size_t count, size_t size)
{
    size_t bytes;
    if (nh_unlikely(__builtin_mul_overflow(count, size, &bytes)))
        return fast_out_of_memory();
    return nh_realloc(ptr, bytes);
}
NH_LIBC_NAME(reallocarray, nh_reallocarray);

#ifdef NH_REPLACE
/* From a static library a program gets only the objects that it refers to; but
 * a family of which some are ours and some are libc's would free what it did
 * not allocate.  So this object, which every program needs, refers to all. */
extern int mallopt(int, int);
extern void *_Znwm(size_t); /* or the program's; then the others are ours, and by one of them */
extern void _ZdaPvmSt11align_val_t(void *, size_t, size_t);
__attribute__((used)) static const void *const whole_family[] = {
    (const void *)nh_posix_memalign, (const void *)mallopt, (const void *)_Znwm,
    (const void *)_ZdaPvmSt11align_val_t, (const void *)nh_malloc_trim};
#endif
