/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * size_class.h - which sizes there are, and how a span of each is cut.
 *
 * Pure arithmetic, no tables: up to NH_SMALL_MAX a class every 16 bytes, so
 * that the fast path finds the bin with one addition and one shift; above, eight
 * classes per doubling to NH_CLASS_MAX.  Internal waste is under 16 bytes, or
 * under 1/9, whichever class it is.  Classes count from 1; 0 is no class.
 */
#ifndef NH_SIZE_CLASS_H
#define NH_SIZE_CLASS_H

#include "base.h"
#include "limits.h"

/* The smallest class that holds `size`, of at most NH_SMALL_MAX; 0 for 0. */
NH_INLINE size_t size_class_of_small(size_t size)
{
    return (size + NH_GRAIN - 1) >> NH_GRAIN_SHIFT;
}

/* The same of more than NH_SMALL_MAX and at most NH_CLASS_MAX. */
NH_INLINE unsigned size_class_of_medium(size_t size)
{
    /* The leading bit of size - 1 names the doubling, the next three the step: with that
     * bit they are 8 to 15. */
    unsigned top = 63U ^ (unsigned)__builtin_clzll(size - 1);
    unsigned step = (unsigned)((size - 1) >> (top - 3)) - 8U;
    return 1 + NH_SMALL_CLASSES + (top - 10) * 8 + step;
}

/* The smallest class that holds `size`; 0 for 0 and for sizes past
 * NH_CLASS_MAX. */
NH_INLINE unsigned size_class_of(size_t size)
{
    if (nh_likely(size <= NH_SMALL_MAX))
        return (unsigned)size_class_of_small(size);
    return nh_likely(size <= NH_CLASS_MAX) ? size_class_of_medium(size) : 0;
}
NH_STATIC(NH_SMALL_MAX == 1 << 10, "size_class_of_medium counts doublings from 2^10");
NH_STATIC(NH_SMALL_MAX / NH_GRAIN == NH_SMALL_CLASSES, "one small class a grain");
NH_STATIC(NH_SMALL_MAX << (NH_MEDIUM_CLASSES / 8) == NH_CLASS_MAX, "eight classes a doubling");
NH_STATIC(NH_CLASSES <= NH_CLASS_LARGE, "the large class has a number of its own");

/* Bytes of an object of `cls`, 1 to NH_CLASSES - 1. */
NH_INLINE size_t size_class_bytes(unsigned cls)
{
    if (nh_likely(cls <= NH_SMALL_CLASSES))
        return (size_t)cls << NH_GRAIN_SHIFT;
    unsigned k = cls - 1 - NH_SMALL_CLASSES;
    return (NH_SMALL_MAX << (k / 8)) + ((size_t)(k % 8 + 1) << (k / 8)) * (NH_SMALL_MAX / 8);
}

/* The smallest class of at least `size` whose objects are all aligned to
 * `alignment` (a power of two of at most NH_CLASS_MAX); 0 if there is none, or
 * none that is worth it. */
unsigned size_class_aligned(size_t size, size_t alignment);

/* The same, but 0 for all that does not come to a small class; of any power of two. */
NH_INLINE unsigned size_class_aligned_small(size_t size, size_t alignment)
{
    /* 0 where it is 2^64. */
    size_t rounded = round_up(size + (size == 0), alignment);
    /* Of these classes each is a multiple of the grain, and this one of the alignment. */
    return nh_likely(rounded - 1 < NH_SMALL_MAX) ? size_class_of(rounded) : 0;
}

/* How spans of a class are cut. */
struct size_class {
    uint32_t bytes;       /* an object's */
    uint16_t objects;     /* in a span, at most NH_SPAN_OBJECTS_MAX */
    uint8_t pages;        /* of a span */
    uint8_t align_pages;  /* a span's alignment: powers of two are naturally aligned */
    uint64_t index_magic; /* see size_class_index */
};
void size_class_describe(unsigned cls, struct size_class *out);

/* offset / bytes by multiplication; exact for every offset inside a span:
 * with m = ceil(2^40 / bytes) the error is offset * (m * bytes - 2^40), below
 * 2^18 * 2^16 and so below 2^40.  After Granlund & Montgomery, PLDI 1994. */
#define SIZE_CLASS_INDEX_SHIFT 40
NH_INLINE unsigned size_class_index(uint64_t index_magic, size_t offset)
{
    return (unsigned)(offset * index_magic >> SIZE_CLASS_INDEX_SHIFT);
}

/* What objects of a class are aligned to that has `bytes`: the largest power of two that
 * divides it. */
NH_INLINE size_t size_class_alignment(size_t bytes)
{
    return bytes & -bytes;
}

#endif
