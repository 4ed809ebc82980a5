/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * heap_span.c - where a span comes from, step by step; see heap_span_alloc.
 *
 * No step holds the locks of two heaps.  Pages that go from heap to heap are in
 * nobody's hands but this thread's for a moment; an allocation elsewhere that
 * would have needed just them takes its own next step.
 */
#include "heap.h"

#include "log.h"
#include "numa/placement.h"
#include "numa/room.h"
#include "numa/topology.h"
#include "numa/usable.h"
#include "options.h"
#include "os.h"
#include "probe.h"
#include "span_table.h"
#include "watch.h"

/* A heap collects what it is owed before it grows when that is at least this
 * part of its memory: less is not worth taking the depots apart for. */
#define OWED_SHIFT 4

/* How hard the system may be pressed. */
enum pressure {
    UNUSED_MEMORY, /* what lies unused on the node */
    ANY_MEMORY     /* what the kernel can make free, wherever it lets us have it */
};

/* One asks the system at a time: nobody is granted by an answer that was given before
 * another one was granted the same.  It takes some files of the kernel, which are short. */
static NH_TOGETHER struct lock asking = LOCK_INIT(LOCK_ROOM);

void heap_asking_lock(void)
{
    lock_acquire_again(&asking);
}

void heap_asking_unlock(void)
{
    lock_release_again(&asking);
}

static size_t pages_in(uint64_t bytes)
{
    return bytes == ROOM_BOUNDLESS ? SIZE_MAX : bytes >> NH_PAGE_SHIFT;
}

/* ---- What the system can give ---- */

/* What is the node's alone; ROOM_BOUNDLESS where the heap is of no node. */
static uint64_t node_room(struct heap *heap, enum pressure pressure)
{
    if (!placement_works() || heap->slot == NH_HEAP_INTERLEAVED ||
        placement_policy() == PLACEMENT_INTERLEAVE)
        return ROOM_BOUNDLESS;
    int node = placement_node(heap->slot);
    if (placement_policy() == PLACEMENT_BIND)
        return room_of_plan(&heap->bound, node, page_heap_used(&heap->pages) << NH_PAGE_SHIFT,
                            pressure == ANY_MEMORY);
    return pressure == ANY_MEMORY ? ROOM_BOUNDLESS : room_of_node(node);
}

/* What the machine gives easily, and the control group lets the process have. */
static uint64_t machine_room(void)
{
    uint64_t machine = room_of_machine(), cgroup = room_of_cgroup();
    return machine < cgroup ? machine : cgroup;
}

/* What all heaps take from: the control group's, or all nodes' together.  How far a machine
 * that is not placed may be overcommitted is the kernel's to say; but a heap gives back what
 * it has free before it takes what may get somebody killed. */
static uint64_t shared_room(struct heap *heap, enum pressure pressure)
{
    if (placement_works()) {
        bool anywhere = heap->slot == NH_HEAP_INTERLEAVED ||
                        placement_policy() == PLACEMENT_INTERLEAVE ||
                        (pressure == ANY_MEMORY && placement_policy() != PLACEMENT_BIND);
        return anywhere ? room_of_process() : room_of_cgroup();
    }
    return pressure == UNUSED_MEMORY ? machine_room() : room_of_cgroup();
}

/* Of used pages, those with objects that wait to be given out for the first time: at most. */
#define FRESH_SHIFT 3

/* Pages that count as taken from the system, but were never touched: the kernel does not count
 * them yet, and nobody asks again when they are used.  They may be free, or of objects that
 * were not given out yet; what the program asked for and does not touch is its own affair.  And
 * the kernel may count a huge page where a heap begins to use it. */
static size_t untouched(void)
{
    size_t used = 0, free = 0, begun = 0;
    size_t taken = pages_in(room_taken()); /* before what is used (system_room) */
    for (unsigned slot = 0; slot < NH_HEAPS; slot++) {
        struct heap *heap = heap_if_exists(slot);
        if (heap != NULL) {
            used += page_heap_used(&heap->pages);
            free += page_heap_resident_pages(&heap->pages);
            begun += NH_HUGE_PAGES;
        }
    }
    size_t missing = used > taken ? used - taken : 0;
    size_t most = free + (used >> FRESH_SHIFT);
    return begun + (missing < most ? missing : most);
}

/* Of what all heaps take from; SIZE_MAX where it has no end. */
static size_t shared_left(struct heap *heap, enum pressure pressure)
{
    size_t reserved = untouched();
    size_t shared = pages_in(shared_room(heap, pressure));
    if (shared == SIZE_MAX)
        return SIZE_MAX;
    return shared > reserved ? shared - reserved : 0;
}

static size_t granted_to_others(const struct heap *heap)
{
    size_t granted = 0;
    for (unsigned slot = 0; slot < NH_HEAPS; slot++) {
        struct heap *other = heap_if_exists(slot);
        size_t quota = other != NULL && other != heap ? page_heap_quota(&other->pages) : 0;
        granted = quota < SIZE_MAX - granted ? granted + quota : SIZE_MAX;
    }
    return granted;
}

static void take_back_grants(const struct heap *heap)
{
    for (unsigned slot = 0; slot < NH_HEAPS; slot++) {
        struct heap *other = heap_if_exists(slot);
        if (other != NULL && other != heap)
            page_heap_cut_quota(&other->pages, 0);
    }
}

/* What others were granted and have not taken is theirs; but where that leaves too little, they
 * lose it, and ask again.  Pages are granted, taken, and touched: it is looked at in this
 * order, so that those which go on meanwhile are counted twice rather than never. */
static size_t system_room(struct heap *heap, enum pressure pressure, size_t wanted)
{
    size_t node = pages_in(node_room(heap, pressure));
    if (node < wanted)
        return node;
    size_t granted = granted_to_others(heap);
    size_t shared = shared_left(heap, pressure);
    if (shared != SIZE_MAX) {
        if (granted <= shared && shared - granted >= wanted) {
            shared -= granted;
        } else {
            take_back_grants(heap);
            shared = shared_left(heap, pressure);
        }
    }
    return node < shared ? node : shared;
}

/* Whether the heap may take `pages` more, and renews its quota if so. */
static bool permitted(struct heap *heap, size_t pages, enum pressure pressure)
{
    lock_acquire(&asking);
    bool may = page_heap_permit(&heap->pages, pages, system_room(heap, pressure, pages),
                                NH_QUOTA_STEP >> NH_PAGE_SHIFT);
    lock_release(&asking);
    return may;
}

static struct span *grow(struct heap *heap, const struct span_request *want, enum pressure pressure)
{
    if (!permitted(heap, want->pages, pressure))
        return NULL;
    struct span_request growing = *want;
    growing.may_grow = true;
    return page_heap_alloc(&heap->pages, &growing);
}

/* A limit may have come down since the quota was granted. */
void heap_renew_quota(struct heap *heap)
{
    lock_acquire(&asking);
    page_heap_cut_quota(&heap->pages, system_room(heap, UNUSED_MEMORY, 0));
    lock_release(&asking);
}

/* ---- Loans ---- */

static void count_loan(struct heap *lender, unsigned borrower, size_t pages)
{
    atomic_fetch_add_explicit(&lender->lent_to[borrower], pages, memory_order_relaxed);
}

void heap_repay(struct heap *heap)
{
    struct loan loan;
    while (page_heap_pick_borrowed(&heap->pages, &loan)) {
        struct heap *lender = heap_if_exists(loan.lender);
        if (nh_unlikely(page_heap_take_back(&lender->pages, &loan)))
            watch_begin();
        count_loan(lender, heap->slot, (size_t)0 - loan.pages);
    }
}

/* Others pay back: what they have free, and with `all` what they can free. */
static void call_in_loans(struct heap *heap, bool all)
{
    for (unsigned slot = 0; slot < topology_now()->slots; slot++) {
        struct heap *borrower = heap_if_exists(slot);
        if (slot == heap->slot || borrower == NULL ||
            atomic_load_explicit(&heap->lent_to[slot], memory_order_relaxed) == 0)
            continue;
        if (all)
            heap_reclaim(borrower, true);
        heap_repay(borrower);
    }
}

/* What is borrowed at once grows with each loan (heap_tick begins anew). */
static size_t loan_size(struct heap *heap)
{
    size_t bytes = atomic_load_explicit(&heap->borrow_bytes, memory_order_relaxed);
    if (bytes < NH_BORROW_FIRST)
        bytes = NH_BORROW_FIRST;
    size_t next = bytes < NH_BORROW_MAX ? bytes * 2 : bytes;
    atomic_store_explicit(&heap->borrow_bytes, next, memory_order_relaxed);
    return bytes >> NH_PAGE_SHIFT;
}

static struct span *borrow_from(struct heap *heap, struct heap *lender,
                                const struct span_request *want, bool may_grow)
{
    /* With this many, some aligned run of the length is inside. */
    size_t least, most = loan_size(heap);
    if (__builtin_add_overflow(want->pages, want->align_pages - 1, &least))
        return NULL;
    heap_supply(heap, &heap->pages.spans); /* else each loan would have to */
    struct loan loan;
    if (!page_heap_lend(&lender->pages, least, most > least ? most : least, may_grow, &loan))
        return NULL;
    count_loan(lender, heap->slot, loan.pages);
    page_heap_borrow(&heap->pages, &loan);
    probe_borrow(heap->slot, lender->slot, loan.pages);
    return page_heap_alloc(&heap->pages, want);
}

/* From what the others have resident and free, the nearest first. */
static struct span *borrow(struct heap *heap, const struct span_request *want)
{
    const struct topology *topology = topology_now();
    for (unsigned i = 1; i < topology->slots; i++) {
        struct heap *lender = heap_if_exists(topology->nearest[heap->slot][i]);
        struct span *span = lender != NULL ? borrow_from(heap, lender, want, false) : NULL;
        if (span != NULL)
            return span;
    }
    return NULL;
}

/* The others grow for it, the nearest first. */
static struct span *borrow_growing(struct heap *heap, const struct span_request *want,
                                   enum pressure pressure)
{
    const struct topology *topology = topology_now();
    for (unsigned i = 1; i < topology->slots; i++) {
        unsigned near = topology->nearest[heap->slot][i];
        struct heap *lender = usable_slot(near) == near ? heap_get(near) : NULL;
        if (lender == NULL || !permitted(lender, want->pages + want->align_pages - 1, pressure))
            continue;
        struct span *span = borrow_from(heap, lender, want, true);
        if (span != NULL)
            return span;
    }
    return NULL;
}

/* ---- The steps ---- */

static bool may_borrow(const struct heap *heap)
{
    return heap->slot != NH_HEAP_INTERLEAVED && topology_now()->slots > 1;
}

/* The node is out of memory, by its limit or the kernel's account. */
static NH_SLOW struct span *alloc_elsewhere(struct heap *heap, const struct span_request *want)
{
    struct span *span = NULL;
    /* Free pages that do not fit one by one: given back, they are room. */
    if (!want->modest && page_heap_resident_pages(&heap->pages) >= want->pages) {
        page_heap_release(&heap->pages, 0);
        span = grow(heap, want, UNUSED_MEMORY);
    }
    if (span == NULL && may_borrow(heap)) {
        call_in_loans(heap, false);
        span = page_heap_alloc(&heap->pages, want);
        if (span == NULL)
            span = borrow(heap, want);
        if (span == NULL)
            span = borrow_growing(heap, want, UNUSED_MEMORY);
    }
    if (span == NULL)
        span = grow(heap, want, ANY_MEMORY);
    if (span == NULL && may_borrow(heap))
        span = borrow_growing(heap, want, ANY_MEMORY);
    return span;
}

/* Waits for others who collect or give back, and gives back everything. */
static void give_back_everything(struct heap *heap)
{
    heap_reclaim(heap, true);
    page_heap_await_release(&heap->pages);
    page_heap_release(&heap->pages, 0);
}

/* Address space that other heaps do not use is room for this one, where a limit is on
 * that: in whole huge pages, or as little as will do, which is easier to find where single
 * objects lie scattered. */
static struct span *grow_over_others(struct heap *heap, const struct span_request *want)
{
    struct span *span = NULL;
    size_t exact = want->pages + want->align_pages;
    size_t sizes[] = {round_up(exact, NH_HUGE_PAGES), exact};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (unsigned slot = 0; slot < NH_HEAPS && span == NULL; slot++) {
            struct heap *other = heap_if_exists(slot);
            if (other != NULL && other != heap && permitted(heap, want->pages, ANY_MEMORY) &&
                page_heap_unmap(&other->pages, sizes[i]))
                span = grow(heap, want, ANY_MEMORY);
        }
    return span;
}

/* What the kernel gets back is counted in batches, and the tables go that led to it: it may be
 * more than the heap's pages by this part. */
#define GAIN_SHIFT 3

/* One asks at a time: nobody is refused because of what another one tries. */
static bool system_refuses(size_t pages)
{
    lock_acquire(&asking);
    bool refused = os_refuses(pages << NH_PAGE_SHIFT);
    lock_release(&asking);
    return refused;
}

/* Whether to give back everything would not help: more is wanted than all that the heaps have
 * and could be had beside it, be it memory, addresses, or what limits leave.  Else each such
 * request, whose size may come from anybody, would cost the program all its free memory. */
static bool is_in_vain(struct heap *heap, const struct span_request *want)
{
    size_t mapped = 0, limit = 0;
    for (struct heap *other = NULL; (other = heap_after(other)) != NULL;) {
        mapped += page_heap_mapped(&other->pages) >> NH_PAGE_SHIFT;
        size_t most = page_heap_limit_pages(&other->pages);
        if (limit < most &&
            (other == heap || other->slot != NH_HEAP_INTERLEAVED)) /* which lends none */
            limit = most;
    }
    size_t gain = mapped + (mapped >> GAIN_SHIFT);
    if (want->pages <= gain)
        return false;
    if (want->pages > limit)
        return true;
    /* Not less than system_room is told for any heap, however hard the system is pressed. */
    size_t room = pages_in(placement_works() ? room_of_process() : room_of_cgroup());
    if (want->pages - gain > room)
        return true;
    return system_refuses(want->pages - gain);
}

static NH_SLOW struct span *alloc_at_last(struct heap *heap, const struct span_request *want)
{
    if (is_in_vain(heap, want))
        return NULL;
    size_t mapped = page_heap_mapped(&heap->pages) >> NH_PAGE_SHIFT;
    if (want->pages <= mapped) { /* else it cannot help */
        heap_reclaim(heap, true);
        page_heap_await_release(&heap->pages);
        struct span *span = page_heap_alloc(&heap->pages, want);
        if (span != NULL)
            return span;
    }
    if (may_borrow(heap))
        call_in_loans(heap, true);
    for (unsigned slot = 0; slot < NH_HEAPS; slot++)
        if (heap_if_exists(slot) != NULL)
            give_back_everything(heap_if_exists(slot));
    struct span *span = grow(heap, want, ANY_MEMORY);
    if (span == NULL)
        span = grow_over_others(heap, want);
    return span != NULL ? span : alloc_elsewhere(heap, want);
}

/* Whether there is memory for what the span table says of so many pages.  A kernel that maps
 * whatever is asked for (mode 1 of overcommit) would kill the process that writes it. */
static bool table_fits(size_t pages)
{
    uint64_t bytes = span_table_bytes(pages);
    if (nh_likely(bytes <= NH_TABLE_UNASKED))
        return true;
    return bytes <= machine_room() >> NH_TABLE_SHIFT;
}

/* Why to give back everything would not help, or NULL. */
static const char *hopeless(const struct span_request *want)
{
    size_t most = (size_t)1 << (NH_ADDRESS_BITS - NH_PAGE_SHIFT);
    if (want->pages > most || want->align_pages > most)
        return "more than there are addresses";
    return table_fits(want->pages) ? NULL : "no memory for the tables that so much needs";
}

/* The steps, each taken when those before it found nothing:
 *   1. free pages of this heap, within its quota (heap_span_alloc);
 *   2. what the heap is owed (depots, spares, batches of other nodes), if much;
 *   3. growth, where the node has unused memory;
 *   4. free resident pages of other heaps, the nearest first; they pay back theirs;
 *   5. growth of other nodes, the nearest first;
 *   6. growth at the cost of files in memory;
 *   7. everything that any heap could give back, if that may help, and steps 3 to 6 again. */
static struct span *alloc_slowly(struct heap *heap, const struct span_request *want)
{
    struct span *span = NULL;
    size_t mapped = page_heap_mapped(&heap->pages);
    size_t owed = heap_owed(heap);
    if (owed >= want->pages << NH_PAGE_SHIFT && owed >= mapped >> OWED_SHIFT) {
        heap_try_reclaim(heap);
        span = page_heap_alloc(&heap->pages, want);
    }
    heap_renew_grant(heap);
    if (span == NULL)
        span = grow(heap, want, UNUSED_MEMORY);
    if (span == NULL)
        span = alloc_elsewhere(heap, want);
    return span != NULL || want->modest ? span : alloc_at_last(heap, want);
}

/* Whose limit it was, as well as it can be told afterwards. */
static const char *refused_by(struct heap *heap, const struct span_request *want)
{
    const char *why = hopeless(want);
    if (why != NULL)
        return why;
    if (page_heap_used(&heap->pages) + want->pages > page_heap_limit_pages(&heap->pages))
        return "NEARHEAP_NODE_LIMIT";
    if (system_refuses(want->pages))
        return "the kernel maps no more: its commit limit, ulimit -v or -d, or mappings";
    return "no room on the nodes that may be used, or in the control group";
}

void heap_span_refused(struct heap *heap, const struct span_request *want)
{
    if (want->modest)
        return;
    char room[PAGE_HEAP_PLACE_ROOM];
    atomic_fetch_add_explicit(&heap->refusals, 1, memory_order_relaxed);
    if (options_get(OPT_VERBOSE) >= (long)LOG_INFO)
        log_line(LOG_INFO, "out of memory: %zu bytes refused on %s (%zu bytes mapped): %s",
                 want->pages << NH_PAGE_SHIFT, page_heap_place(&heap->pages, room),
                 page_heap_mapped(&heap->pages), refused_by(heap, want));
}

struct span *heap_span_try(struct heap *heap, const struct span_request *want)
{
    struct span *span = page_heap_alloc(&heap->pages, want);
    if (nh_likely(span != NULL))
        return span;
    return hopeless(want) == NULL ? alloc_slowly(heap, want) : NULL;
}

struct span *heap_span_alloc(struct heap *heap, const struct span_request *want)
{
    struct span *span = heap_span_try(heap, want);
    if (nh_unlikely(span == NULL))
        heap_span_refused(heap, want);
    return span;
}

void heap_span_shrink(struct heap *heap, struct span *span, size_t pages)
{
    bool borrowed = span->lender != heap->slot;
    if (nh_unlikely(page_heap_shrink(&heap->pages, span, pages)))
        watch_begin();
    if (nh_unlikely(borrowed))
        heap_repay(heap);
}

void heap_span_free(struct heap *heap, struct span *span, bool zeroed)
{
    bool borrowed = span->lender != heap->slot;
    if (nh_unlikely(page_heap_free(&heap->pages, span, zeroed)))
        watch_begin();
    if (nh_unlikely(borrowed))
        heap_repay(heap);
}
