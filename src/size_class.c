/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * size_class.c - the model behind spans' lengths.
 *
 * A span is long enough to serve a few refills (SPAN_TARGET bytes), to hold
 * a handful of large objects, and to waste at most 1/16 of itself at its end;
 * and no longer, since a span goes home only when all of it is free.
 */
#include "size_class.h"

#define SPAN_TARGET      ((size_t)16 << 10)
#define SPAN_WASTE_SHIFT 4
#define SPAN_OBJECTS_MIN 4
/* Of these few to a span would be too many pages. */
#define SPAN_HEAVY     ((size_t)32 << 10)
#define SPAN_HEAVY_MIN 2

static size_t objects_wanted(size_t bytes)
{
    size_t least = bytes > SPAN_HEAVY ? SPAN_HEAVY_MIN : SPAN_OBJECTS_MIN;
    size_t wanted = SPAN_TARGET / bytes;
    if (wanted > NH_SPAN_OBJECTS_MAX)
        wanted = NH_SPAN_OBJECTS_MAX;
    return wanted < least ? least : wanted;
}

void size_class_describe(unsigned cls, struct size_class *out)
{
    size_t bytes = size_class_bytes(cls);
    size_t pages = (objects_wanted(bytes) * bytes + NH_PAGE - 1) >> NH_PAGE_SHIFT;
    size_t length = pages << NH_PAGE_SHIFT;
    while (length % bytes > length >> SPAN_WASTE_SHIFT)
        length += NH_PAGE;
    size_t objects = length / bytes;
    if (objects > NH_SPAN_OBJECTS_MAX)
        objects = NH_SPAN_OBJECTS_MAX;

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
