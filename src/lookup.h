/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * lookup.h - what is at any address whatever.
 *
 * Anyone may call it at any time, in a signal handler too: no lock, no waiting, no
 * fault, no errno, no memory but the table's and the descriptors'.
 */
#ifndef NH_LOOKUP_H
#define NH_LOOKUP_H

#include "nearheap.h"
#include "size_class.h"
#include "span_table.h"

/* An address as it was at one moment. */
struct lookup {
    enum nh_what what;
    uintptr_t object;      /* of NH_FREE_OBJECT, NH_OBJECT and NH_PAGES: first byte, else 0 */
    size_t size;           /* its bytes */
    struct span_view span; /* not of NH_NOTHING and NH_CHANGING */
};

/* ---- For lookup_address ---- */

/* The span may be another one by now, with something else where its bits were. */
NH_RACY bool lookup_bit(const struct object_bits *bits, unsigned index)
{
    uint64_t word = __atomic_load_n(&bits->free[index / 64], __ATOMIC_ACQUIRE);
    return (word >> index % 64 & 1) != 0;
}

/* Where in a span with objects of a size class the address is; false when it is behind
 * them, or the span changed since the view was taken. */
NH_INLINE bool lookup_in_span(uintptr_t address, struct lookup *out)
{
    const struct span_view *span = &out->span;
    unsigned index = size_class_index(span->index_magic, address - span->base);
    if (nh_unlikely(index >= span->objects))
        return false;
    bool is_free = lookup_bit(&span->span->bits, index);
    if (nh_unlikely(!span_is_still(span)))
        return false;
    out->what = is_free ? NH_FREE_OBJECT : NH_OBJECT;
    out->object = span->base + (size_t)index * span->bytes;
    out->size = span->bytes;
    return true;
}

NH_SLOW void lookup_any(uintptr_t address, struct lookup *out);

/* As lookup_any, of an object of a size class in a span at rest; else false.  The view
 * is believed last, when the object's bit was read too: until then its fields may be of
 * two moments, and no more than an index below the bits' number is done with them. */
NH_INLINE bool lookup_object(uintptr_t address, struct lookup *out)
{
    const struct span *span = span_table_hint(address);
    if (nh_unlikely(span == NULL))
        return false;
    span_glance(span, &out->span);
    return nh_likely(out->span.version % 2 == 0) && nh_likely(span_view_is_cut(&out->span)) &&
           nh_likely(span_view_holds(&out->span, address)) &&
           nh_likely(lookup_in_span(address, out));
}

/* Exact for all of the call where the address lies in an object that is not freed
 * meanwhile (span_table.h, D). */
NH_INLINE void lookup_address(uintptr_t address, struct lookup *out)
{
    struct lookup object; /* two, so that the one may stay in registers */
    if (nh_likely(lookup_object(address, &object))) {
        *out = object;
        return;
    }
    lookup_any(address, out);
}

#endif
