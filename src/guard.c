/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * guard.c - see guard.h: slots, and their spans and protection.
 *
 * A slot that guard_pool.h gave out belongs to who took it until its object is live; and again to
 * who frees that, until it is put back.  No system call is made under the lock.
 */
#include "guard.h"

#include "bad_pointer.h"
#include "cache.h"
#include "guard_fault.h"
#include "guard_pool.h"
#include "harden.h"
#include "options.h"
#include "os.h"
#include "profile.h"
#include "sample.h"
#include "span_table.h"

#include <string.h>
#include <unistd.h>

struct slot {
    /* Belong to who has the slot in hand: */
    struct span *span;    /* NULL: none yet, or none any more */
    struct guard_cut cut; /* its trail is longer where the span is */
    /* Written by the same, under the lock; guarded by it for others: */
    uintptr_t base, end; /* of the span, while it has guard pages; else 0 */
    struct guard_object object;
    bool live;
    /* As the first ones: */
    bool sealed; /* nothing of the span can be touched */
    bool empty;  /* nothing of it is in memory, but for a live object */
};

static NH_TOGETHER struct lock lock = LOCK_INIT(LOCK_GUARD);
static struct guard_pool pool; /* guarded by lock */
static struct slot slots[NH_GUARD_SLOTS];

void guard_lock(void)
{
    lock_acquire_again(&lock);
}

void guard_unlock(void)
{
    lock_release_again(&lock);
}

/* ---- Beginning ---- */

bool guard_set(size_t distance)
{
    if (distance == 0)
        sample_stop(SAMPLING_GUARD);
    else if (profile_frames_prepare() && guard_fault_begin())
        sample_start(SAMPLING_GUARD, distance);
    else
        return false;
    return true;
}

void guard_begin(void)
{
    /* The one place that decides whether there are guard pages without anybody's asking. */
    size_t distance = (size_t)options_get(OPT_GUARD);
    if (distance != 0)
        (void)guard_set(distance);
}

/* ---- Under the lock ---- */

static struct slot *slot_at(uintptr_t address)
{
    for (unsigned i = 0; i < pool.used; i++)
        if (address - slots[i].base < slots[i].end - slots[i].base)
            return &slots[i];
    return NULL;
}

bool guard_find(uintptr_t address, struct guard_object *out)
{
    lock_acquire(&lock);
    const struct slot *slot = slot_at(address);
    if (slot != NULL)
        *out = slot->object;
    lock_release(&lock);
    return slot != NULL;
}

static struct slot *take(const struct heap *heap)
{
    lock_acquire(&lock);
    unsigned n = guard_pool_take(&pool, heap->slot);
    lock_release(&lock);
    return n != GUARD_NO_SLOT ? &slots[n] : NULL;
}

static void put(struct slot *slot, const struct heap *heap)
{
    lock_acquire(&lock);
    guard_pool_put(&pool, (unsigned)(slot - slots), heap->slot);
    lock_release(&lock);
}

/* ---- A slot's span: of who has the slot in hand ---- */

static void take_trace(struct guard_trace *out)
{
    out->thread = gettid();
    out->depth = profile_frames_take(out->frame, NH_GUARD_FRAMES);
}

static struct heap *heap_of(const struct span *span)
{
    return heap_if_exists(span->slot);
}

static void *part(const struct slot *slot, size_t offset)
{
    return (void *)(slot->span->base + offset);
}

/* The slot has all of its span, in which no object is live, or none of it any more. */
static void set_bounds(struct slot *slot, uintptr_t base, uintptr_t end)
{
    lock_acquire(&lock);
    slot->base = base;
    slot->end = end;
    slot->object = (struct guard_object){.address = base};
    lock_release(&lock);
}

/* The slot is left without a span; false when the system will not let its pages be touched again,
 * which may be otherwise later. */
static bool give_back(struct slot *slot)
{
    struct span *span = slot->span;
    if (span == NULL)
        return true;
    set_bounds(slot, 0, 0);
    if (!os_protect((void *)span->base, span->pages << NH_PAGE_SHIFT, OS_ACCESS_ALL))
        return false;
    slot->span = NULL;
    heap_span_free(heap_of(span), span, slot->empty);
    return true;
}

/* Leaves nothing of it to be touched, or in memory. */
static bool seal(struct slot *slot)
{
    void *all = part(slot, 0);
    size_t bytes = slot->span->pages << NH_PAGE_SHIFT;
    slot->empty = !slot->span->needzero || os_release(all, bytes);
    slot->sealed = os_protect(all, bytes, OS_ACCESS_NONE);
    return slot->sealed;
}

/* Whether the slot's span has room for an object of the heap, and how it is cut then. */
static bool suits(const struct slot *slot, const struct heap *heap, size_t size, size_t alignment,
                  struct guard_cut *out)
{
    const struct span *span = slot->span;
    if (span == NULL || slot->base == 0 || !slot->sealed || span->slot != heap->slot ||
        span->lender != heap->slot)
        return false;
    guard_cut_for(size, alignment, os_whole_page(), span->base, out);
    return guard_cut_bytes(out) <= span->pages << NH_PAGE_SHIFT;
}

/* Another span, of so many bytes or more: most objects shall have room in it, as who moved with
 * every object would leave gaps everywhere that are too short to go back to the system. */
static bool fit_anew(struct slot *slot, struct heap *heap, size_t bytes, size_t alignment)
{
    if (!give_back(slot))
        return false;
    size_t most = guard_cut_most(os_whole_page());
    struct span_request want = {.pages = (bytes > most ? bytes : most) >> NH_PAGE_SHIFT,
                                .align_pages = alignment >> NH_PAGE_SHIFT,
                                .state = SPAN_MANUAL,
                                .cls = NH_CLASS_GUARD,
                                .modest = true,
                                .clean_first = true};
    slot->span = heap_span_alloc(heap, &want);
    if (slot->span == NULL)
        return false;
    if (!seal(slot)) {
        (void)give_back(slot);
        return false;
    }
    set_bounds(slot, slot->span->base, span_end(slot->span));
    return true;
}

/* Makes room for an object in the slot. */
static bool fit(struct slot *slot, struct heap *heap, size_t size, size_t alignment)
{
    struct guard_cut *cut = &slot->cut;
    if (!suits(slot, heap, size, alignment, cut)) {
        guard_cut_for(size, alignment, os_whole_page(), 0, cut);
        if (!fit_anew(slot, heap, guard_cut_bytes(cut), cut->lead))
            return false;
    }
    slot->sealed = false;
    return os_protect(part(slot, cut->lead), cut->room, OS_ACCESS_ALL);
}

/* Slots get their spans some at a time, so that these lie side by side. */
#define SLOTS_AT_ONCE 16

static NH_SLOW void prepare_more(struct heap *heap)
{
    for (unsigned i = 1; i < SLOTS_AT_ONCE; i++) {
        lock_acquire(&lock);
        unsigned n = guard_pool_take_unused(&pool);
        lock_release(&lock);
        if (n == GUARD_NO_SLOT)
            return;
        bool done = fit_anew(&slots[n], heap, 0, os_whole_page());
        put(&slots[n], heap);
        if (!done)
            return;
    }
}

/* ---- Objects ---- */

/* What everybody sees of the slot's span. */
static void show(struct span *span, enum span_state state, size_t offset, size_t size)
{
    span_change(span);
    span_store(&span->bytes, (uint32_t)size);
    span_store(&span->index_magic, offset);
    span_set_state(span, state);
    span_settle(span);
}

void *guard_alloc(struct heap *heap, size_t size, size_t alignment)
{
    struct slot *slot = take(heap);
    if (slot == NULL)
        return NULL;
    bool unused = slot->span == NULL;
    if (!fit(slot, heap, size, alignment)) {
        put(slot, heap);
        return NULL;
    }
    if (unused)
        prepare_more(heap);
    size_t offset = guard_offset(&slot->cut, size, alignment, sampling_random() % 2 == 0);
    uintptr_t at = slot->span->base + offset;
    struct guard_trace trace;
    take_trace(&trace);
    lock_acquire(&lock);
    slot->live = true;
    slot->object = (struct guard_object){.address = at, .size = size, .allocated = trace};
    lock_release(&lock);
    show(slot->span, SPAN_IN_USE, offset, size);
    span_table_set_home_page(round_down(at, NH_PAGE), row_home(0, NH_CLASS_GUARD));
    heap_count_large(heap_of(slot->span), 1, slot->cut.room >> NH_PAGE_SHIFT);
    return (void *)at;
}

/* Whose object begins at the address, which nobody else can free then. */
static struct slot *claim(uintptr_t address, const struct guard_trace *trace)
{
    lock_acquire(&lock);
    struct slot *slot = slot_at(address);
    bool found = slot != NULL && slot->live && slot->object.address == address;
    if (found) {
        slot->live = false;
        slot->object.freed = *trace;
    }
    lock_release(&lock);
    return found ? slot : NULL;
}

void guard_free(void *ptr)
{
    struct guard_trace trace;
    take_trace(&trace);
    struct slot *slot = claim((uintptr_t)ptr, &trace);
    if (nh_unlikely(slot == NULL)) {
        bad_pointer_report("free", ptr);
        return;
    }
    const struct guard_cut *cut = &slot->cut;
    span_table_set_home_page(round_down((uintptr_t)ptr, NH_PAGE), 0);
    show(slot->span, SPAN_MANUAL, 0, 0);
    struct heap *heap = heap_of(slot->span);
    heap_count_large(heap, (size_t)-1, (size_t)0 - (cut->room >> NH_PAGE_SHIFT));
    cache_count_free(heap);
    /* Free memory of a hardened process is zero, also where it is locked. */
    if (harden_on())
        memset(part(slot, cut->lead), 0, cut->room);
    /* Where it cannot be protected, what touches it is not noticed. */
    slot->sealed = os_protect(part(slot, cut->lead), cut->room, OS_ACCESS_NONE);
    slot->empty = os_release(part(slot, cut->lead), cut->room) && slot->empty;
    put(slot, heap);
}

size_t guard_usable_size(const void *ptr)
{
    struct span_view view;
    if (span_table_find((uintptr_t)ptr, &view) != SPAN_FOUND || !span_view_is_guarded(&view))
        return 0;
    size_t from = (uintptr_t)ptr - span_view_object(&view);
    return from < view.bytes ? view.bytes - from : 0;
}

bool guard_check(const char *call, const void *ptr)
{
    struct span_view view;
    if (span_table_find((uintptr_t)ptr, &view) == SPAN_FOUND && span_view_is_guarded(&view) &&
        view.state == SPAN_IN_USE && span_view_object(&view) == (uintptr_t)ptr)
        return true;
    bad_pointer_report(call, ptr);
    return false;
}
