/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * snapshot.c - see snapshot.h.
 */
#include "snapshot.h"

#include "cache.h"
#include "guard_map.h"
#include "heap_walk.h"
#include "size_class.h"
#include "span_table.h"

/* Spans that may come while they are counted and copied; if more do, it is done again. */
#define SPANS_MORE 1024

/* Times a span is copied again because it changed meanwhile. */
#define LOOKS 16

/* ---- Copying ---- */

static unsigned count_free(const struct object_bits *bits)
{
    unsigned count = 0;
    for (unsigned i = 0; i < OBJECT_BITS_WORDS; i++)
        count += (unsigned)__builtin_popcountll(bits->free[i]);
    return count;
}

/* The bits of a span at one moment; one that changes all the time is left out. */
static bool copy_bits(struct snapshot_span *span)
{
    struct span_view *view = &span->view;
    for (unsigned i = 0; i < LOOKS; i++) {
        if (!span_view_is_cut(view))
            return true;
        struct central *central = heap_central(heap_if_exists(view->slot), view->cls);
        if (central_copy_bits(central, view, &span->bits)) {
            span->free_objects = (uint16_t)count_free(&span->bits);
            return true;
        }
        uintptr_t base = view->base;
        if (span_table_find(base, view) != SPAN_FOUND || view->base != base)
            return false;
    }
    return false;
}

/* False when there are more than there is room for. */
static bool copy_spans(struct snapshot *out, size_t room)
{
    uintptr_t at = 0;
    out->spans = 0;
    struct span_view view;
    while (heap_walk(&at, &view)) {
        if (out->spans == room)
            return false;
        struct snapshot_span *span = &out->span[out->spans];
        span->view = view;
        /* It may end elsewhere by now, before what is next. */
        if (copy_bits(span)) {
            at = span_view_end(&span->view);
            out->spans++;
        }
    }
    return true;
}

static size_t count_spans(void)
{
    size_t spans = 0;
    struct span_view view;
    for (uintptr_t at = 0; heap_walk(&at, &view);)
        spans++;
    return spans;
}

/* ---- Striking out what is cached ---- */

static struct snapshot_span *span_of(const struct snapshot *snapshot, uintptr_t object)
{
    size_t low = 0, high = snapshot->spans;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (object < snapshot->span[middle].view.base)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == 0 || !span_view_holds(&snapshot->span[low - 1].view, object))
        return NULL;
    return &snapshot->span[low - 1];
}

static void strike_out(void *object, void *arg)
{
    struct snapshot_span *span = span_of(arg, (uintptr_t)object);
    if (span == NULL || !span_view_is_cut(&span->view))
        return; /* its span came later */
    unsigned index = size_class_index(span->view.index_magic, (uintptr_t)object - span->view.base);
    if (index < span->view.objects)
        span->bits.free[index / 64] |= (uint64_t)1 << index % 64;
}

static void strike_out_cached(struct snapshot *snapshot)
{
    cache_each_object(strike_out, snapshot);
    for (unsigned slot = 0; slot < NH_NODES_MAX; slot++) {
        struct heap *heap = heap_if_exists(slot);
        if (heap == NULL)
            continue;
        heap_inbox_each(heap, strike_out, snapshot);
        for (unsigned i = 1; i <= heap_centrals(heap); i++)
            central_each_cached(&heap->central[i], strike_out, snapshot);
    }
}

/* ---- All of it ---- */

bool snapshot_take(struct snapshot *out, enum snapshot_cached cached)
{
    if (cached == SNAPSHOT_COLLECT)
        heap_reclaim_everything();
    size_t room = count_spans() + SPANS_MORE;
    for (;;) {
        out->mapped = round_up(room * sizeof(struct snapshot_span), NH_SYSTEM_PAGE);
        out->span = guard_map(out->mapped);
        if (out->span == NULL)
            return false;
        if (copy_spans(out, room))
            break;
        snapshot_drop(out);
        room *= 2;
    }
    strike_out_cached(out);
    return true;
}

void snapshot_drop(struct snapshot *snapshot)
{
    guard_discard(snapshot->span, snapshot->mapped);
}

unsigned snapshot_held(const struct snapshot_span *span)
{
    const struct span_view *view = &span->view;
    if (!span_view_is_cut(view))
        return view->state == SPAN_IN_USE || view->cls == NH_CLASS_PAGES;
    return view->objects - count_free(&span->bits);
}
