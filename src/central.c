/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * central.c - see central.h.
 */
#include "central.h"

#include "bad_pointer.h"
#include "harden.h"
#include "heap.h"
#include "keystream.h"
#include "options.h"
#include "probe.h"
#include "row.h"
#include "span_table.h"

void central_init(struct central *central, struct heap *heap, unsigned cls)
{
    lock_init(&central->lock, LOCK_CENTRAL);
    central->cls = (uint8_t)cls;
    central->heap = heap;
    central->home = row_home(heap->slot, harden_on() ? NH_CLASS_HARDENED : cls);
    size_class_describe(cls, &central->cut);
    central_renew_rounds(central);
    central->depot_room = NH_DEPOT_FIRST / central->cut.bytes;
}

void central_renew_rounds(struct central *central)
{
    /* A cache holds two magazines of a class. */
    size_t most = (size_t)options_get(OPT_CACHE) / 2 / central->cut.bytes;
    if (most > MAGAZINE_ROUNDS)
        most = MAGAZINE_ROUNDS;
    atomic_store_explicit(&central->rounds, (uint8_t)(most == 0 ? 1 : most), memory_order_relaxed);
}

/* ---- Spans; the caller holds the lock ---- */

/* Who takes few objects has few, and may write them often: up to so many come in
 * whole cache lines where there are some. */
#define SHY_WANT  8
#define SHY_SPANS 4 /* that are looked at */

/* Spans are listed by how many free objects they have, in powers of two.  Objects are
 * taken from the fullest spans that have a good part of what is wanted: the others have
 * a chance to become free, and a refill still comes from few spans. */
#define WORTH_SHIFT 1

/* Who wants one at random takes it from a span with a good part of so many, if there is
 * one: of the last that is free anybody knows which it will be. */
#define RANDOM_WANT 64

static unsigned list_for(unsigned free_objects)
{
    return 31U - (unsigned)__builtin_clz(free_objects);
}

static void list(struct central *central, struct span *span)
{
    unsigned n = list_for(span->free_objects);
    span_list_push(&central->with_room[n], span);
    central->nonempty |= 1U << n;
}

static void unlist(struct central *central, struct span *span, unsigned n)
{
    span_list_remove(&central->with_room[n], span);
    if (span_list_is_empty(&central->with_room[n]))
        central->nonempty &= ~(1U << n);
}

/* After its free objects changed from `before`. */
static void relist(struct central *central, struct span *span, unsigned before)
{
    if (before != 0 && span->free_objects != 0 && list_for(before) == list_for(span->free_objects))
        return;
    if (before != 0)
        unlist(central, span, list_for(before));
    if (span->free_objects != 0)
        list(central, span);
}

/* The span to take `want` objects from, or NULL. */
static struct span *fullest(const struct central *central, unsigned want)
{
    unsigned worth = list_for(want > 1U << WORTH_SHIFT ? want >> WORTH_SHIFT : 1);
    uint32_t lists = central->nonempty & ~0U << worth;
    if (lists != 0)
        return central->with_room[__builtin_ctz(lists)].first;
    return central->nonempty != 0 ? central->with_room[list_for(central->nonempty)].first : NULL;
}

static void taken_from(struct central *central, struct span *span, unsigned n)
{
    unsigned before = span->free_objects;
    span->free_objects = (uint16_t)(before - n);
    central->free_in_spans -= n;
    relist(central, span, before);
}

static unsigned take_lines(struct central *central, struct magazine *into, unsigned want)
{
    struct span *span = fullest(central, want);
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

static unsigned take_any(struct central *central, struct magazine *into, unsigned want)
{
    unsigned taken = 0;
    while (taken < want) {
        struct span *span = fullest(central, want - taken);
        if (span == NULL)
            break;
        unsigned n = object_bits_take(&span->bits, &span->cursor, want - taken, span->base,
                                      span->bytes, &into->slot[taken]);
        taken += n;
        taken_from(central, span, n);
    }
    return taken;
}

static unsigned take_from_spans(struct central *central, struct magazine *into, unsigned want)
{
    unsigned taken = 0;
    if (want <= SHY_WANT && central->cut.bytes < NH_CACHE_LINE &&
        NH_CACHE_LINE % central->cut.bytes == 0 && want % (NH_CACHE_LINE / central->cut.bytes) == 0)
        taken = take_lines(central, into, want);
    if (taken == 0)
        taken = take_any(central, into, want);
    into->count = (uint16_t)taken;
    central->refilled += taken;
    return taken;
}

/* There is one; of this shelf, if possible.  Tells of which it was. */
static struct magazine *off_shelf(struct central *central, unsigned *shelf)
{
    while (central->full[*shelf] == NULL)
        *shelf = (*shelf + 1) % CENTRAL_SHELVES;
    struct magazine *full = central->full[*shelf];
    central->full[*shelf] = full->next;
    central->fulls--;
    central->free_in_depot -= full->count;
    return full;
}

static struct magazine *take_full(struct central *central, unsigned *shelf)
{
    struct magazine *full = off_shelf(central, shelf);
    central->refilled += full->count;
    if (central->fulls < central->full_least)
        central->full_least = central->fulls;
    return full;
}

/* The depot has more room where objects go out of it into spans and come back from
 * there: after SWINGS between overflowing and empty, or at once if a thread had to wait
 * for the lock meanwhile, which is held for longer then. */
#define SWINGS 2

static NH_SLOW void widen_depot(struct central *central)
{
    central->swings = 0;
    if (central->depot_room <= NH_DEPOT_MOST / central->cut.bytes / 2)
        central->depot_room = central->depot_room * 2 + central_rounds(central);
}

static bool put_full(struct central *central, struct magazine *full, unsigned shelf, bool waited)
{
    if (nh_unlikely(central->free_in_depot + full->count > central->depot_room)) {
        central->overflowed = true;
        if (waited)
            widen_depot(central);
        return false;
    }
    full->next = central->full[shelf];
    central->full[shelf] = full;
    central->fulls++;
    central->free_in_depot += full->count;
    return true;
}

static void depot_was_empty(struct central *central, bool waited)
{
    central->full_least = 0;
    if (waited || (central->overflowed && ++central->swings == SWINGS))
        widen_depot(central);
    central->overflowed = false;
}

static struct magazine *take_empty(struct central *central)
{
    struct magazine *empty = central->empty;
    if (empty != NULL) {
        central->empty = empty->next;
        central->empties--;
    }
    return empty;
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
    list(central, span);
    central->spans++;
    central->free_in_spans += span->objects;
}

/* What a batch of returned objects leaves to be done without the lock. */
struct aftermath {
    struct span *empty; /* all-free spans, out of the list, linked by next */
    unsigned bads;
    void *bad[MAGAZINE_ROUNDS]; /* pointers that were no live objects */
};

/* Marks one object of a span free. */
static void put_in_span(struct central *central, void *object, struct span *span,
                        struct aftermath *after)
{
    if (nh_unlikely(span == NULL || span_state(span) != SPAN_IN_USE ||
                    span->index_magic != central->cut.index_magic)) {
        after->bad[after->bads++] = object; /* freed twice, and the span went meanwhile */
        return;
    }
    size_t offset = (uintptr_t)object - span->base;
    unsigned index = size_class_index(span->index_magic, offset);
    if (nh_unlikely((size_t)index * span->bytes != offset || index >= span->objects ||
                    !object_bits_put(&span->bits, &span->cursor, index))) {
        after->bad[after->bads++] = object;
        return;
    }
    unsigned before = span->free_objects++;
    central->free_in_spans++;
    if (span->free_objects == span->objects) {
        if (before != 0)
            unlist(central, span, list_for(before));
        central->spans--;
        central->free_in_spans -= span->objects;
        span->next = after->empty;
        after->empty = span;
    } else {
        relist(central, span, before);
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
    for (unsigned i = 0; nh_unlikely(i < after->bads); i++)
        bad_pointer_report("free", after->bad[i]);
}

/* Objects off another's shelf are in its CPU's cache, perhaps: the program writes them now one by
 * one, and would wait for each. */
static NH_NOINLINE void fetch_objects(const struct magazine *magazine)
{
    for (unsigned i = 0; i < magazine->count; i++)
        fetch_to_write(magazine->slot[i]);
}

struct magazine *central_exchange_empty(struct central *central, struct magazine *empty,
                                        unsigned want, unsigned shelf)
{
    bool waited = lock_acquire(&central->lock);
    central->refills++;
    central->waits += waited;
    struct magazine *full = NULL;
    if (nh_likely(central->fulls != 0)) {
        unsigned from = shelf;
        full = take_full(central, &from);
        if (empty != NULL)
            put_empty(central, empty);
        lock_release(&central->lock);
        if (nh_unlikely(from != shelf))
            fetch_objects(full);
        return full;
    }
    central->carved++;
    depot_was_empty(central, waited);
    struct magazine *magazine = empty != NULL ? empty : take_empty(central);
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
        if (taken == 0 && central->fulls != 0)
            full = take_full(central, &shelf);
        if (taken == 0 && (full != NULL || magazine != empty))
            put_empty(central, magazine);
        lock_release(&central->lock);
    }
    return taken != 0 ? magazine : full;
}

void central_put(struct central *central, void *const *objects, unsigned count)
{
    /* Found and fetched before the lock is taken: each may be missing in the CPU's caches,
     * and others wait.  (A span's first line, and its bits.) */
    struct span *span[MAGAZINE_ROUNDS];
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an assertion that is off asks for a type */
    nh_assert(count <= MAGAZINE_ROUNDS);
    for (unsigned i = 0; i < count; i++) {
        span[i] = span_table_hint((uintptr_t)objects[i]);
        fetch_to_write(span[i]);
        fetch_to_write((const void *)((uintptr_t)span[i] + NH_CACHE_LINE));
    }
    struct aftermath after;
    after.empty = NULL;
    after.bads = 0;
    lock_acquire(&central->lock);
    for (unsigned i = 0; i < count; i++)
        put_in_span(central, objects[i], span[i], &after);
    lock_release(&central->lock);
    settle(central, &after);
}

static void drain(struct central *central, struct magazine *magazine)
{
    central_put(central, magazine->slot, magazine->count);
    magazine->count = 0;
}

struct magazine *central_new_magazine(struct central *central)
{
    lock_acquire(&central->lock);
    struct magazine *empty = take_empty(central);
    lock_release(&central->lock);
    return empty != NULL ? empty : heap_magazine_new(central->heap);
}

struct magazine *central_exchange_full(struct central *central, struct magazine *full,
                                       unsigned shelf)
{
    probe_flush(central->heap->slot, central->cls, full->count);
    bool waited = lock_acquire(&central->lock);
    central->flushes++;
    central->waits += waited;
    central->freed += full->count;
    if (nh_unlikely(!put_full(central, full, shelf, waited))) {
        lock_release(&central->lock);
        drain(central, full);
        return full;
    }
    struct magazine *empty = take_empty(central);
    lock_release(&central->lock);
    return empty != NULL ? empty : heap_magazine_new(central->heap);
}

void central_retire(struct central *central, struct magazine *magazine, unsigned shelf)
{
    lock_acquire(&central->lock);
    if (magazine->count != 0) {
        central->flushes++;
        /* One of few objects would not be worth its exchange. */
        if (magazine->count * 2U >= magazine_rounds(magazine) &&
            put_full(central, magazine, shelf, false)) {
            lock_release(&central->lock);
            return;
        }
        lock_release(&central->lock);
        drain(central, magazine);
        lock_acquire(&central->lock);
    }
    put_empty(central, magazine);
    lock_release(&central->lock);
}

void *central_retire_but_one(struct central *central, struct magazine *magazine, unsigned shelf)
{
    void *object = magazine->slot[--magazine->count];
    central_retire(central, magazine, shelf);
    return object;
}

void *central_take_one(struct central *central)
{
    struct magazine *magazine = central_exchange_empty(central, NULL, 1, 0);
    return magazine != NULL ? central_retire_but_one(central, magazine, 0) : NULL;
}

void *central_take_random(struct central *central, uint32_t random)
{
    lock_acquire(&central->lock);
    struct span *span = fullest(central, RANDOM_WANT);
    if (span == NULL) {
        lock_release(&central->lock);
        struct span *fresh = new_span(central);
        lock_acquire(&central->lock);
        if (fresh != NULL)
            add_span(central, fresh);
        span = fullest(central, RANDOM_WANT);
    }
    void *object = NULL;
    if (span != NULL) {
        unsigned before = keystream_below(random, span->free_objects);
        unsigned index = object_bits_take_nth(&span->bits, before);
        object = (void *)(span->base + (size_t)index * span->bytes);
        taken_from(central, span, 1);
        central->refills++;
        central->carved++;
        central->refilled++;
    }
    lock_release(&central->lock);
    return object;
}

size_t central_drain(struct central *central, bool all)
{
    size_t moved = 0;
    lock_acquire(&central->lock);
    uint32_t keep = all ? 0 : central->fulls - central->full_least;
    if (central->full_least != 0 && central->depot_room > NH_DEPOT_FIRST / central->cut.bytes)
        central->depot_room /= 2;
    /* What others free meanwhile is for the next time, or there might be no end. */
    for (uint32_t most = central->fulls; most > keep && central->fulls > keep; most--) {
        unsigned any = 0;
        struct magazine *magazine = off_shelf(central, &any);
        moved += magazine->count;
        lock_release(&central->lock);
        drain(central, magazine);
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
