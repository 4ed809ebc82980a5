/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * page_heap_os.c - how a page heap grows, and how its free pages go back to
 * the system: the scavenger.
 *
 * Release works on a few megabytes at a time: they are taken out of the free
 * sets under the lock, given back without it, and put among the clean spans; an
 * allocation meanwhile finds the others.
 *
 * A system page may hold more than one of the heap's.  Then only those that are free as
 * a whole are given back; what is left at a span's ends waits for its neighbours.
 */
#include "memcheck.h"
#include "numa/placement.h"
#include "options.h"
#include "os.h"
#include "page_heap.h"
#include "page_heap_internal.h"
#include "probe.h"
#include "span_table.h"

#include "log.h"

/* Fewer spans freed between two of these looks are few. */
#define FEW_FREES 32

/* What is no whole huge page waits this many times as long where there may be some, since
 * giving back part of a huge page breaks it. */
#define DECAY_PATIENCE 2

/* Leaves of the span table for new pages.  Where the system has no memory for one, it is the
 * beginning of these. */
static bool cover(struct loan *run)
{
    while (nh_unlikely(!span_table_cover(run->base, run->pages))) {
        size_t bytes = sizeof(struct table_leaf);
        if (run->pages <= bytes >> NH_PAGE_SHIFT)
            return false;
        span_table_adopt((void *)run->base);
        run->base += bytes;
        run->pages -= bytes >> NH_PAGE_SHIFT;
    }
    return true;
}

static void advise(const struct page_heap *heap, void *at, size_t bytes, enum os_huge use)
{
    placement_assign(at, bytes, heap->slot);
    os_advise_huge(at, bytes, use);
}

void page_heap_advise(const struct page_heap *heap, void *at, size_t bytes)
{
    advise(heap, at, bytes, (enum os_huge)options_get(OPT_HUGE));
}

/* More addresses, below what the heap has; or where the process has as many mappings as it
 * may, above, by a mapping that is there already. */
static bool add_addresses(struct page_heap *heap, size_t bytes)
{
    uintptr_t hint = heap->grown_at > bytes ? heap->grown_at - bytes : 0;
    size_t alignment = bytes % NH_HUGE == 0 ? NH_HUGE : NH_PAGE;
    uintptr_t at = (uintptr_t)os_map(bytes, alignment, hint);
    bool above = at == 0 && heap->top != 0 && os_extend(heap->top, bytes);
    if (above)
        at = heap->top;
    if (at == 0)
        return false;
    struct loan run = {.base = at, .pages = bytes >> NH_PAGE_SHIFT, .lender = (uint8_t)heap->slot};
    if (!cover(&run)) {
        os_discard((void *)run.base, run.pages << NH_PAGE_SHIFT);
        return false;
    }
    if (!above)
        heap->grown_at = at;
    if (above || heap->top == 0)
        heap->top = at + bytes;
    /* Until objects are taken from it (memcheck_family.h). */
    memcheck_hide((void *)run.base, run.pages << NH_PAGE_SHIFT);
    enum os_huge use = (enum os_huge)options_get(OPT_HUGE);
    /* A program that hardly allocates should not get a huge page for its
     * first object, unless that is as large. */
    if (use == OS_HUGE_DEFAULT && heap->mapped_pages == 0 && bytes <= NH_HUGE)
        use = OS_HUGE_NEVER;
    advise(heap, (void *)at, bytes, use);
    if (use == OS_HUGE_ALWAYS || (use == OS_HUGE_DEFAULT && os_huge_by_default()))
        atomic_store_explicit(&heap->may_be_huge, true, memory_order_relaxed);
    heap->mapped_pages += run.pages;
    heap->grows++;
    probe_grow(heap->slot, bytes);
    page_heap_take_in(heap, &run);
    return true;
}

bool page_heap_grow(struct page_heap *heap, size_t pages)
{
    if (pages > (SIZE_MAX >> NH_PAGE_SHIFT) / 2)
        return false;
    size_t exact = round_up(pages << NH_PAGE_SHIFT, os_page());
    size_t ahead = heap->mapped_pages << NH_PAGE_SHIFT >> NH_GROW_SHIFT;
    if (ahead > NH_GROW_MAX)
        ahead = NH_GROW_MAX;
    size_t ask = round_up(exact > ahead ? exact : ahead, NH_HUGE);
    if (add_addresses(heap, ask) || add_addresses(heap, round_up(exact, NH_HUGE)))
        return true;
    /* The last is for addresses that are to be had, when memory for their leaf is not. */
    return add_addresses(heap, exact) ||
           add_addresses(heap, round_up(exact + sizeof(struct table_leaf), NH_HUGE));
}

/* Spans, and pages but for one span's rest, given back between two takings of
 * the lock: what an allocation may miss meanwhile. */
#define RELEASE_BATCH 16
#define RELEASE_PAGES (4 * NH_HUGE_PAGES)
/* Spans that are looked at while the lock is held once: most may be such as stay. */
#define RELEASE_LOOKS 1024
/* What such a batch costs beside its pages, as pages: system calls, or looks alone. */
#define RELEASE_COST 64

/* A piece of what is due, which one malloc or free has to give back (page_heap_decay): a batch
 * of large spans, some half a millisecond's work where pages are small.  Where nobody called for
 * a while it is as many as there was time for, but not more than so many. */
#define PIECE      RELEASE_PAGES
#define PIECE_MOST 4

/* Which pages go: the whole system pages of spans that are free for `age_ms`; of a heap that
 * may have huge pages, only the whole ones of these, and the others after DECAY_PATIENCE times
 * that. */
struct release {
    uint64_t age_ms;
    size_t keep; /* pages */
    size_t most; /* and batches that cost this much, in pages */
};

/* The pages of a free span that are whole units: how many, and where. */
static size_t whole_units(const struct span *span, size_t unit, uintptr_t *base)
{
    *base = round_up(span->base, unit);
    uintptr_t end = round_down(span_end(span), unit);
    return end > *base ? (end - *base) >> NH_PAGE_SHIFT : 0;
}

/* A span's whole units, at most `most` pages of them, which are whole units too, in state MANUAL;
 * the sweep goes on behind these.  NULL if there are none. */
static struct span *take_whole(struct page_heap *heap, struct span **at, size_t unit, size_t most)
{
    uintptr_t base;
    struct span *span = *at;
    size_t pages = whole_units(span, unit, &base);
    if (pages == 0) {
        *at = span->idle.younger;
        return NULL;
    }
    bool all = pages <= most;
    struct span *piece = page_heap_carve(heap, span, base, all ? pages : most, SPAN_MANUAL);
    if (!all)
        *at = span_table_hint(span_end(piece)); /* exact at the ends of free spans */
    else if (*at == span)                       /* what is left of it has no whole one */
        *at = span->idle.younger;
    span_table_set_ends(piece, piece);
    span_settle(piece);
    return piece;
}

/* The next spans to give back, oldest first, of which none may be found yet; false when there
 * are no more behind them. */
static bool take_old(struct page_heap *heap, const struct release *which, struct span **at,
                     struct span *batch[RELEASE_BATCH], unsigned *taken)
{
    *taken = 0;
    size_t room = RELEASE_PAGES;
    lock_acquire(&heap->lock);
    uint64_t now = os_now_ms();
    for (unsigned looks = 0; *at != NULL && looks < RELEASE_LOOKS; looks++) {
        uint64_t age = now - (*at)->idle.unused_since_ms;
        if (age < which->age_ms || heap->resident.pages <= which->keep) {
            *at = NULL;
            break;
        }
        bool patient = page_heap_may_be_huge(heap) && age < which->age_ms * DECAY_PATIENCE;
        size_t unit = patient ? NH_HUGE : os_page();
        size_t most = unit <= NH_PAGE ? room : round_down(room, unit >> NH_PAGE_SHIFT);
        if (*taken == RELEASE_BATCH || most == 0)
            break;
        struct span *piece = take_whole(heap, at, unit, most);
        if (piece != NULL) {
            batch[(*taken)++] = piece;
            room -= piece->pages;
            heap->in_release += piece->pages;
        }
    }
    bool more = *at != NULL;
    lock_release(&heap->lock);
    return more;
}

/* The thread's own, the last begun first; changed under its heap's lock. */
static _Thread_local __attribute__((tls_model("initial-exec"))) struct sweep *own_sweeps;

static void sweep_begin(struct page_heap *heap, struct sweep *sweep)
{
    lock_acquire(&heap->lock);
    *sweep =
        (struct sweep){.at = heap->oldest, .next = heap->sweeps, .heap = heap, .outer = own_sweeps};
    heap->sweeps = sweep;
    own_sweeps = sweep;
    lock_release(&heap->lock);
}

static void sweep_end(struct page_heap *heap, struct sweep *sweep)
{
    lock_acquire(&heap->lock);
    struct sweep **link = &heap->sweeps;
    while (*link != sweep)
        link = &(*link)->next;
    *link = sweep->next;
    own_sweeps = sweep->outer;
    lock_release(&heap->lock);
}

const char *page_heap_place(const struct page_heap *heap, char room[PAGE_HEAP_PLACE_ROOM])
{
    if (heap->slot >= NH_HEAP_INTERLEAVED)
        return "interleaved memory";
    struct text text = {.at = room, .room = PAGE_HEAP_PLACE_ROOM};
    text_add(&text, "node %d", placement_node(heap->slot));
    return room;
}

void page_heap_releasing_begin(struct page_heap *heap)
{
    lock_acquire(&heap->turn);
    lock_acquire(&heap->releasing);
    lock_release(&heap->turn);
}

void page_heap_releasing_end(struct page_heap *heap)
{
    lock_release(&heap->releasing);
}

/* From `at` on, which is changed under the heap's lock: NULL when nothing is left to do. */
static size_t release_spans(struct page_heap *heap, const struct release *which, struct span **at)
{
    size_t released = 0, cost = 0;
    bool refused = false; /* locked memory; it comes back as the youngest */
    bool more = true;
    while (more && !refused && cost < which->most) {
        struct span *batch[RELEASE_BATCH];
        unsigned taken;
        page_heap_releasing_begin(heap);
        more = take_old(heap, which, at, batch, &taken);
        cost += RELEASE_COST;
        for (unsigned i = 0; i < taken; i++) {
            cost += batch[i]->pages;
            if (os_release((void *)batch[i]->base, batch[i]->pages << NH_PAGE_SHIFT)) {
                released += batch[i]->pages;
                batch[i]->needzero = false;
            } else {
                refused = true;
            }
        }
        lock_acquire(&heap->lock);
        for (unsigned i = 0; i < taken; i++) {
            span_change(batch[i]);
            span_set_state(batch[i], SPAN_FREE);
            heap->in_release -= batch[i]->pages;
            if (!batch[i]->needzero)
                page_heap_refund(heap, batch[i]->pages);
            page_heap_insert_free(heap, batch[i]);
        }
        if (refused)
            *at = NULL;
        lock_release(&heap->lock);
        page_heap_releasing_end(heap);
    }
    if (released != 0) {
        char room[PAGE_HEAP_PLACE_ROOM];
        lock_acquire(&heap->lock);
        heap->scavenges++;
        heap->released_pages += released;
        lock_release(&heap->lock);
        probe_scavenge(heap->slot, released << NH_PAGE_SHIFT);
        log_line(LOG_TRACE, "scavenge: %s gave back %zu KiB, %zu KiB free, %zu KiB mapped",
                 page_heap_place(heap, room), released << (NH_PAGE_SHIFT - 10),
                 page_heap_free_pages(heap) << (NH_PAGE_SHIFT - 10), page_heap_mapped(heap) >> 10);
    }
    return released;
}

static size_t release_all(struct page_heap *heap, const struct release *which)
{
    struct sweep sweep;
    sweep_begin(heap, &sweep);
    size_t released = release_spans(heap, which, &sweep.at);
    sweep_end(heap, &sweep);
    return released;
}

void page_heap_fork_child(struct page_heap *heap)
{
    heap->sweeps = &heap->decay;
    /* What lies on other threads' stacks may not even be mapped here. */
    for (struct sweep *sweep = own_sweeps; sweep != NULL; sweep = sweep->outer)
        if (sweep->heap == heap) {
            sweep->next = heap->sweeps;
            heap->sweeps = sweep;
        }
}

void page_heap_await_release(struct page_heap *heap)
{
    page_heap_releasing_begin(heap);
    page_heap_releasing_end(heap);
}

size_t page_heap_release(struct page_heap *heap, size_t keep)
{
    return release_all(heap, &(struct release){.keep = keep, .most = SIZE_MAX});
}

/* At the first look not much is known. */
static void judge_frees(struct page_heap *heap, bool first)
{
    lock_acquire(&heap->lock);
    bool few = !first && heap->span_frees - heap->frees_swept < FEW_FREES;
    heap->watch_pages = few ? NH_WATCH_PAGES_FEW : NH_WATCH_PAGES;
    heap->frees_swept = heap->span_frees;
    lock_release(&heap->lock);
}

bool page_heap_has_much(struct page_heap *heap)
{
    lock_acquire(&heap->lock);
    bool much = page_heap_is_much(heap);
    lock_release(&heap->lock);
    return much;
}

static void decay_begin(struct page_heap *heap)
{
    lock_acquire(&heap->lock);
    heap->decay.at = heap->oldest;
    lock_release(&heap->lock);
}

/* Gives back a piece, `idle_ms` after the one before.  Several threads may: each takes what the
 * others have left. */
static void decay_piece(struct page_heap *heap, uint64_t age_ms, uint64_t idle_ms)
{
    uint64_t pieces = idle_ms / NH_PIECE_MS;
    if (pieces > PIECE_MOST)
        pieces = PIECE_MOST;
    struct release which = {.age_ms = age_ms, .most = pieces > 1 ? pieces * PIECE : PIECE};
    release_spans(heap, &which, &heap->decay.at);
    lock_acquire(&heap->lock);
    atomic_store_explicit(&heap->more_is_due, heap->decay.at != NULL, memory_order_relaxed);
    lock_release(&heap->lock);
}

void page_heap_decay(struct page_heap *heap)
{
    long decay = options_get(OPT_DECAY);
    if (decay < 0)
        return;
    bool goes_on = page_heap_more_is_due(heap);
    uint64_t wait = (uint64_t)decay / NH_DECAY_STEPS;
    if (goes_on && wait > NH_PIECE_MS)
        wait = NH_PIECE_MS;
    if (wait == 0)
        wait = 1;
    /* Before the clock, which is not before what another one wrote here then. */
    uint64_t last = atomic_load_explicit(&heap->swept_ms, memory_order_acquire);
    uint64_t now = os_now_ms();
    if (decay != 0 && now - last < wait)
        return;
    /* One thread sweeps; the exchange decides which.  It orders no other memory.  (Without a
     * time of decay all that free in the same millisecond do.) */
    if (!atomic_compare_exchange_strong_explicit(&heap->swept_ms, &last, now, memory_order_relaxed,
                                                 memory_order_relaxed))
        return;
    if (decay == 0) {
        /* What was freed goes with its free; nothing else waits. */
        release_all(heap, &(struct release){.most = SIZE_MAX});
        atomic_store_explicit(&heap->more_is_due, false, memory_order_relaxed);
    } else {
        if (!goes_on) {
            judge_frees(heap, last == 0);
            decay_begin(heap);
        }
        decay_piece(heap, (uint64_t)decay, goes_on ? now - last : 0);
    }
    page_heap_trim_idle(heap);
}
