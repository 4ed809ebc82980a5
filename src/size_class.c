/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * size_class.c - the model behind spans' lengths.
 *
 * A span is as short as it can be: it holds SPAN_OBJECTS_MIN objects or more, and wastes at
 * most 1/16 of itself at its end.  It goes home only when all of it is free, so one object
 * that lives on holds all of it.  With spans of twice the length, a heap whose peaks leave one
 * object in a hundred had a sixth more at the next peaks (162 MiB for 138, the workload
 * `peaks`), and nothing was faster: refills take from one span after another, and spans are
 * made rarely.  The price are descriptors, 1/64 of small objects' memory.
 */
#include "size_class.h"

#define SPAN_WASTE_SHIFT 4
#define SPAN_OBJECTS_MIN 2
NH_STATIC(NH_PAGE / NH_GRAIN <= NH_SPAN_OBJECTS_MAX, "as many as the bits of a span");

void size_class_describe(unsigned cls, struct size_class *out)
{
    size_t bytes = size_class_bytes(cls);
    size_t length = round_up(SPAN_OBJECTS_MIN * bytes, NH_PAGE);
    while (length % bytes > length >> SPAN_WASTE_SHIFT)
        length += NH_PAGE;
    size_t objects = length / bytes;

    out->bytes = (uint32_t)bytes;
    out->objects = (uint16_t)objects;
    out->pages = (uint8_t)(length >> NH_PAGE_SHIFT);
    out->align_pages =
        is_power_of_two(bytes) && bytes > NH_PAGE ? (uint8_t)(bytes >> NH_PAGE_SHIFT) : 1;
    out->index_magic = (((uint64_t)1 << SIZE_CLASS_INDEX_SHIFT) + bytes - 1) / bytes;
}

unsigned size_class_aligned(size_t size, size_t alignment)
{
    size_t rounded = round_up(size + (size == 0), alignment);
    unsigned cls = size_class_of(rounded);
    /* A class is a multiple of what the classes about it differ by, and so is `rounded` if
     * the alignment is as much or more; within a page objects are aligned as their class. */
    if (nh_likely(alignment <= NH_PAGE) || cls == 0)
        return cls;
    /* A span of its own wastes less than an object much smaller than its
     * alignment. */
    if (size < alignment / 2)
        return 0;
    /* Of larger ones only powers of two have spans that are aligned so. */
    while (!is_power_of_two(size_class_bytes(cls)))
        cls++;
    return cls;
}
