/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * lookup.c - see lookup.h.
 */
#include "lookup.h"

/* Times that a span is found and has changed before its bits were read. */
#define LOOKS 64

static void whole_span(struct lookup *out, enum nh_what what)
{
    out->what = what;
    out->object = span_view_object(&out->span);
    out->size = span_view_object_bytes(&out->span);
}

/* Where in a span in use the address is; false when the span changed meanwhile. */
static bool find_object(uintptr_t address, struct lookup *out)
{
    const struct span_view *span = &out->span;
    if (span_view_is_guarded(span) &&
        address - span_view_object(span) >= span_view_object_bytes(span)) {
        out->what = NH_REST;
        return true;
    }
    if (span->objects == 0) {
        whole_span(out, NH_OBJECT);
        return true;
    }
    if (size_class_index(span->index_magic, address - span->base) >= span->objects) {
        out->what = NH_REST;
        return true;
    }
    return lookup_in_span(address, out);
}

void lookup_any(uintptr_t address, struct lookup *out)
{
    out->object = 0;
    out->size = 0;
    for (unsigned i = 0; i < LOOKS; i++) {
        enum span_found found = span_table_find(address, &out->span);
        if (nh_unlikely(found != SPAN_FOUND)) {
            out->what = found == SPAN_NONE ? NH_NOTHING : NH_CHANGING;
            return;
        }
        if (nh_likely(out->span.state == SPAN_IN_USE)) {
            if (nh_likely(find_object(address, out)))
                return;
            continue;
        }
        out->what = NH_FREE_PAGES;
        /* Other MANUAL spans are free pages on their way to the system. */
        if (out->span.state == SPAN_MANUAL && out->span.cls == NH_CLASS_PAGES)
            whole_span(out, NH_PAGES);
        return;
    }
    out->what = NH_CHANGING;
}
