/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * central.c - see central.h.
 */
#include "central.h"

#include "bad_pointer.h"
#include "heap.h"
#include "options.h"
#include "row.h"
#include "span_table.h"

void central_init(struct central *central, struct heap *heap, unsigned cls)
{
    lock_init(&central->lock, LOCK_CENTRAL);
    central->cls = (uint8_t)cls;
    central->heap = heap;
    central->home = row_home(heap->slot, cls);
    size_class_describe(cls, &central->cut);

    /* A cache holds two magazines of a class. */
    size_t most = (size_t)options_get(OPT_CACHE) / 2 / central->cut.bytes;
    if (most > MAGAZINE_ROUNDS)
        most = MAGAZINE_ROUNDS;
    central->rounds = (uint8_t)(most == 0 ? 1 : most);
    size_t depot = NH_DEPOT_BYTES / (central->rounds * (size_t)central->cut.bytes);
    if (depot > NH_DEPOT_MAGAZINES)
        depot = NH_DEPOT_MAGAZINES;
    central->depot_most = (uint16_t)depot;
}

/* ---- Spans; the caller holds the lock ---- */

/* Who takes few objects has few, and may write them often: up to so many come in
 * whole cache lines where there are some. */
#define SHY_WANT  8
#define SHY_SPANS 4 /* that are looked at */

static void taken_from(struct central *central, struct span *span, unsigned n)
{
    span->free_objects = (uint16_t)(span->free_objects - n);
    central->free_in_spans -= n;
    if (span->free_objects == 0) {
        span_list_remove(&central->with_room, span);
        span->listed = false;
    }
}

static unsigned take_lines(struct central *central, struct magazine *into, unsigned want)
{
    struct span *span = central->with_room.first;
    for (unsigned i = 0; span != NULL && i < SHY_SPANS; i++, span = span->next) {
        unsigned n = object_bits_take_lines(&span->bits, &span->cursor, want, span->base,
                                            span->bytes, into->slot);
        if (n != 0) {
            taken_from(central, span, n);
            return n;
        }
    }
    return 0;
}

static unsigned take_from_spans(struct central *central, struct magazine *into, unsigned want)
{
    unsigned taken = 0;
    if (want <= SHY_WANT && central->cut.bytes < NH_CACHE_LINE &&
        NH_CACHE_LINE % central->cut.bytes == 0 && want % (NH_CACHE_LINE / central->cut.bytes) == 0)
        taken = into->count = take_lines(central, into, want);
    if (taken != 0)
        return taken;
    while (taken < want) {
        struct span *span = central->with_room.first;
        if (span == NULL)
            break;
        unsigned n = object_bits_take(&span->bits, &span->cursor, want - taken, span->base,
                                      span->bytes, &into->slot[taken]);
        taken += n;
        taken_from(central, span, n);
    }
    into->count = taken;
    return taken;
}

static struct magazine *take_full(struct central *central)
{
    struct magazine *full = central->full;
    central->full = full->next;
    central->fulls--;
    central->free_in_depot -= full->count;
    if (central->fulls < central->full_least)
        central->full_least = central->fulls;
    return full;
}

static void put_empty(struct central *central, struct magazine *empty)
{
    empty->next = central->empty;
    central->empty = empty;
    central->empties++;
}

static void add_span(struct central *central, struct span *span)
{
    span->free_objects = span->objects;
    span->listed = true;
    span_list_push(&central->with_room, span);
    central->spans++;
    central->free_in_spans += span->objects;
}

/* What a batch of returned objects leaves to be done without the lock. */
struct aftermath {
    struct span *empty; /* all-free spans, out of the list, linked by next */
    void *bad;          /* a pointer that was no live object, or NULL */
};

/* Marks one object free. */
static void put_in_span(struct central *central, void *object, struct aftermath *after)
{
    struct span *span = span_table_hint((uintptr_t)object);
    if (nh_unlikely(span == NULL || span_state(span) != SPAN_IN_USE ||
                    span->index_magic != central->cut.index_magic)) {
        after->bad = object; /* freed twice, and the span went meanwhile */
        return;
    }
    size_t offset = (uintptr_t)object - span->base;
    unsigned index = size_class_index(span->index_magic, offset);
    if (nh_unlikely((size_t)index * span->bytes != offset || index >= span->objects ||
                    !object_bits_put(&span->bits, &span->cursor, index))) {
        after->bad = object;
        return;
    }
    span->free_objects++;
    central->free_in_spans++;
    if (span->free_objects == span->objects) {
        if (span->listed)
            span_list_remove(&central->with_room, span);
        span->listed = false;
        central->spans--;
        central->free_in_spans -= span->objects;
        span->next = after->empty;
        after->empty = span;
    } else if (!span->listed) {
        span_list_push(&central->with_room, span);
        span->listed = true;
    }
}

/* ---- Without the lock ---- */

static struct span *new_span(struct central *central)
{
    const struct size_class *cut = &central->cut;
    struct span_request want = {.pages = cut->pages,
                                .align_pages = cut->align_pages,
                                .state = SPAN_IN_USE,
                                .cls = central->cls,
                                .cut = cut};
    struct span *span = heap_span_alloc(central->heap, &want);
    if (span != NULL)
        span_table_set_home(span->base, span->pages, central->home);
    return span;
}

static void settle(struct central *central, const struct aftermath *after)
{
    for (struct span *span = after->empty; span != NULL;) {
        struct span *next = span->next;
        span->next = NULL;
        span_table_set_home(span->base, span->pages, 0);
        heap_span_free(central->heap, span, false);
        span = next;
    }
    if (nh_unlikely(after->bad != NULL))
        bad_pointer_report("free", after->bad);
}

struct magazine *central_exchange_empty(struct central *central, struct magazine *empty,
                                        unsigned want)
{
    lock_acquire(&central->lock);
    central->refills++;
    struct magazine *full = NULL;
    if (nh_likely(central->full != NULL)) {
        full = take_full(central);
        if (empty != NULL)
            put_empty(central, empty);
        lock_release(&central->lock);
        return full;
    }
    central->full_least = 0;

    struct magazine *magazine = empty;
    if (magazine == NULL && central->empty != NULL) {
        magazine = central->empty;
        central->empty = magazine->next;
        central->empties--;
    }
    if (magazine == NULL) {
        lock_release(&central->lock);
        magazine = heap_magazine_new(central->heap);
        if (magazine == NULL)
            return NULL;
        lock_acquire(&central->lock);
    }
    unsigned taken = take_from_spans(central, magazine, want);
    lock_release(&central->lock);
    if (taken == 0) {
        struct span *span = new_span(central);
        lock_acquire(&central->lock);
        if (span != NULL)
            add_span(central, span);
        /* Even without one: others may have freed meanwhile. */
        taken = take_from_spans(central, magazine, want);
        if (taken == 0 && central->full != NULL)
            full = take_full(central);
        if (taken == 0 && (full != NULL || magazine != empty))
            put_empty(central, magazine);
        lock_release(&central->lock);
    }
    return taken != 0 ? magazine : full;
}

/* Empties a magazine into spans and unlocks. */
static void drain_and_unlock(struct central *central, struct magazine *magazine)
{
    struct aftermath after = {.empty = NULL, .bad = NULL};
    for (unsigned i = 0; i < magazine->count; i++)
        put_in_span(central, magazine->slot[i], &after);
    magazine->count = 0;
    lock_release(&central->lock);
    settle(central, &after);
}

struct magazine *central_exchange_full(struct central *central, struct magazine *full)
{
    lock_acquire(&central->lock);
    central->flushes++;
    central->freed += full->count;
    if (nh_unlikely(central->fulls >= central->depot_most)) {
        drain_and_unlock(central, full);
        return full;
    }
    full->next = central->full;
    central->full = full;
    central->fulls++;
    central->free_in_depot += full->count;
    struct magazine *empty = central->empty;
    if (empty != NULL) {
        central->empty = empty->next;
        central->empties--;
    }
    lock_release(&central->lock);
    return empty != NULL ? empty : heap_magazine_new(central->heap);
}

void central_retire(struct central *central, struct magazine *magazine)
{
    lock_acquire(&central->lock);
    if (magazine->count * 2 >= central->rounds && central->fulls < central->depot_most) {
        central->flushes++;
        magazine->next = central->full;
        central->full = magazine;
        central->fulls++;
        central->free_in_depot += magazine->count;
        lock_release(&central->lock);
        return;
    }
    if (magazine->count != 0) {
        central->flushes++;
        drain_and_unlock(central, magazine);
        lock_acquire(&central->lock);
    }
    put_empty(central, magazine);
    lock_release(&central->lock);
}

void *central_take_one(struct central *central)
{
    struct magazine *magazine = central_exchange_empty(central, NULL, 1);
    if (magazine == NULL)
        return NULL;
    void *object = magazine->slot[--magazine->count];
    central_retire(central, magazine);
    return object;
}

void central_put(struct central *central, void *const *objects, unsigned count)
{
    struct aftermath after = {.empty = NULL, .bad = NULL};
    lock_acquire(&central->lock);
    for (unsigned i = 0; i < count; i++)
        put_in_span(central, objects[i], &after);
    lock_release(&central->lock);
    settle(central, &after);
}

size_t central_drain(struct central *central, bool all)
{
    size_t moved = 0;
    lock_acquire(&central->lock);
    uint32_t keep = all ? 0 : central->fulls - central->full_least;
    while (central->fulls > keep) {
        struct magazine *magazine = central->full;
        central->full = magazine->next;
        central->fulls--;
        central->free_in_depot -= magazine->count;
        moved += magazine->count;
        drain_and_unlock(central, magazine);
        fixalloc_put(&central->heap->magazines, magazine);
        lock_acquire(&central->lock);
    }
    struct magazine *empty = central->empty;
    central->empty = NULL;
    central->empties = 0;
    central->full_least = central->fulls;
    lock_release(&central->lock);
    while (empty != NULL) {
        struct magazine *next = empty->next;
        fixalloc_put(&central->heap->magazines, empty);
        empty = next;
    }
    return moved;
}
