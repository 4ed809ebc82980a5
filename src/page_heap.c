/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * page_heap.c - spans in and out of the free sets.  Growth and release to the
 * system are in page_heap_os.c.
 */
#include "page_heap.h"

#include "os.h"
#include "page_heap_internal.h"
#include "span_table.h"

void page_heap_init(struct page_heap *heap, unsigned slot)
{
    lock_init(&heap->lock, LOCK_PAGE_HEAP);
    lock_init(&heap->turn, LOCK_TURN);
    lock_init(&heap->releasing, LOCK_RELEASE);
    heap->slot = slot;
    heap->sweeps = &heap->decay;
    /* Counted from an address that the system chose at random. */
    uintptr_t start = round_down((uintptr_t)heap, NH_HUGE);
    uintptr_t below = (slot + 1) * NH_ARENA_STRIDE;
    heap->grown_at = start > below ? start - below : 0;
    heap->quota = heap->limit_pages = SIZE_MAX;
    heap->watch_pages = NH_WATCH_PAGES;
    fixalloc_init(&heap->spans, sizeof(struct span), NH_CACHE_LINE, slot);
}

void page_heap_limit(struct page_heap *heap, size_t limit_pages, size_t quota)
{
    lock_acquire(&heap->lock);
    heap->limit_pages = limit_pages;
    heap->quota = quota < limit_pages ? quota : limit_pages;
    lock_release(&heap->lock);
}

/* What the limit leaves to a heap of so many pages that are not clean. */
static size_t left_of_limit(const struct page_heap *heap, size_t used)
{
    return heap->limit_pages > used ? heap->limit_pages - used : 0;
}

bool page_heap_permit(struct page_heap *heap, size_t pages, size_t room, size_t most)
{
    lock_acquire(&heap->lock);
    size_t left = left_of_limit(heap, heap->mapped_pages - heap->clean.pages);
    /* The system may have told of these already, and they will be refunded. */
    if (room != SIZE_MAX)
        room -= heap->in_release < room ? heap->in_release : room;
    if (room > left)
        room = left;
    bool enough = pages <= room;
    if (enough) {
        if (most < pages)
            most = pages;
        size_t grant = room < most ? room : most;
        /* What another thread was granted and has not taken yet is not taken from it. */
        if (heap->quota < grant || heap->quota > room)
            heap->quota = grant;
    }
    lock_release(&heap->lock);
    return enough;
}

size_t page_heap_quota(struct page_heap *heap)
{
    lock_acquire(&heap->lock);
    size_t quota = heap->quota;
    lock_release(&heap->lock);
    return quota;
}

void page_heap_cut_quota(struct page_heap *heap, size_t room)
{
    lock_acquire(&heap->lock);
    if (heap->quota > room)
        heap->quota = room;
    lock_release(&heap->lock);
}

static struct free_set *set_of(struct page_heap *heap, const struct span *span)
{
    if (nh_unlikely(span->lender != heap->slot))
        return &heap->borrowed;
    return span->needzero ? &heap->resident : &heap->clean;
}

/* Only own resident spans have a place by age. */
static bool has_age(const struct page_heap *heap, const struct span *span)
{
    return span->needzero && span->lender == heap->slot;
}

static void charge(struct page_heap *heap, size_t clean_pages)
{
    if (heap->quota != SIZE_MAX)
        heap->quota -= clean_pages < heap->quota ? clean_pages : heap->quota;
}

void page_heap_note_clean(struct page_heap *heap)
{
    if (heap->clean_least > heap->clean.pages)
        heap->clean_least = heap->clean.pages;
}

void page_heap_refund(struct page_heap *heap, size_t clean_pages)
{
    if (heap->quota == SIZE_MAX)
        return;
    size_t left = left_of_limit(heap, heap->mapped_pages - heap->clean.pages - clean_pages);
    heap->quota += clean_pages < SIZE_MAX - heap->quota ? clean_pages : SIZE_MAX - heap->quota;
    if (heap->quota > left)
        heap->quota = left;
}

struct span *page_heap_descriptor(struct page_heap *heap, uintptr_t base, size_t pages)
{
    bool fresh;
    struct span *span = fixalloc_get(&heap->spans, &fresh);
    if (span == NULL)
        return NULL;
    span_change(span);
    /* Written once in the descriptor's memory's life: other heaps read it. */
    if (fresh)
        span_store(&span->slot, (uint8_t)heap->slot);
    span_store(&span->base, base);
    span_store(&span->pages, pages);
    span_store(&span->cls, 0);
    span_store(&span->lender, (uint8_t)heap->slot);
    span->next = span->prev = NULL;
    return span;
}

void page_heap_drop(struct page_heap *heap, struct span *span)
{
    span_set_state(span, SPAN_DEAD);
    span_settle(span);
    fixalloc_put(&heap->spans, span);
}

void page_heap_retire(struct page_heap *heap, struct span *piece)
{
    span_set_state(piece, SPAN_FREE);
    page_heap_drop(heap, piece);
}

/* The list of resident free spans by age, youngest first.  A span that is cut
 * or joined keeps the place of its larger part: else a few pages that come and
 * go at the edge of a large free span would keep all of it young for ever. */

static void age_link(struct page_heap *heap, struct span *span, struct span *younger,
                     struct span *older)
{
    span->idle.younger = younger;
    span->idle.older = older;
    if (younger != NULL)
        younger->idle.older = span;
    else
        heap->youngest = span;
    if (older != NULL)
        older->idle.younger = span;
    else
        heap->oldest = span;
}

static void age_push(struct page_heap *heap, struct span *span)
{
    span->idle.unused_since_ms = os_now_ms();
    age_link(heap, span, NULL, heap->youngest);
}

/* Sweeps that would go on at `span` go on at `at`. */
static void move_sweeps(struct page_heap *heap, const struct span *span, struct span *at)
{
    for (struct sweep *sweep = heap->sweeps; sweep != NULL; sweep = sweep->next)
        if (nh_unlikely(sweep->at == span))
            sweep->at = at;
}

static void age_remove(struct page_heap *heap, struct span *span)
{
    move_sweeps(heap, span, span->idle.younger);
    if (span->idle.younger != NULL)
        span->idle.younger->idle.older = span->idle.older;
    else
        heap->youngest = span->idle.older;
    if (span->idle.older != NULL)
        span->idle.older->idle.younger = span->idle.younger;
    else
        heap->oldest = span->idle.younger;
}

static void age_inherit(struct page_heap *heap, struct span *span, const struct span *from)
{
    span->idle.unused_since_ms = from->idle.unused_since_ms;
    age_link(heap, span, from->idle.younger, from->idle.older);
    move_sweeps(heap, from, span);
}

void page_heap_remove_free(struct page_heap *heap, struct span *span)
{
    nh_assert(span_state(span) == SPAN_FREE);
    free_set_remove(set_of(heap, span), span);
    if (has_age(heap, span))
        age_remove(heap, span);
    span_change(span);
}

/* Into the free set, with both ends in the table, and the page by which lookups
 * find it from any other.  The rest keep whatever the table said: the next
 * allocation sets them all. */
static void file_free(struct page_heap *heap, struct span *span)
{
    span_table_set_free(span);
    free_set_insert(set_of(heap, span), span);
}

/* The free span of this heap and this lender that has the page at `address` as
 * an end. */
static struct span *free_neighbour(struct page_heap *heap, uintptr_t address, uint8_t lender)
{
    struct span *span = span_table_hint(address);
    /* Within a heap the lock makes the table exact at the ends of spans;
     * another heap's span is recognised by its slot, which never changes. */
    if (span == NULL || span->slot != heap->slot || span_state(span) != SPAN_FREE ||
        span->lender != lender)
        return NULL;
    nh_assert(address >= span->base && address < span_end(span));
    return span;
}

/* Joins `other`, a free neighbour in the sets, into `span`, which is in none.
 * `*aged` is the length that gave span its place by age, 0 without a place. */
static void absorb(struct page_heap *heap, struct span *span, struct span *other, size_t *aged)
{
    free_set_remove(set_of(heap, other), other);
    bool has = has_age(heap, other);
    if (has && other->pages > *aged && other->pages >= span->pages) {
        if (*aged != 0)
            age_remove(heap, span);
        age_inherit(heap, span, other);
        *aged = other->pages;
    } else if (has) {
        age_remove(heap, other);
    }
    if (other->base < span->base)
        span_store(&span->base, other->base);
    span_store(&span->pages, span->pages + other->pages);
    span->needzero |= other->needzero;
    span_change(other);
    page_heap_drop(heap, other);
}

/* A changing span into the free sets, joined with its neighbours, and settled; `aged`
 * as for absorb. */
static void insert_joined(struct page_heap *heap, struct span *span, bool across, size_t aged)
{
    struct span *other;
    across |= span->lender != heap->slot;
    /* More than one on a side only across kinds, which may alternate. */
    while ((other = free_neighbour(heap, span->base - 1, span->lender)) != NULL &&
           (across || other->needzero == span->needzero))
        absorb(heap, span, other, &aged);
    while ((other = free_neighbour(heap, span_end(span), span->lender)) != NULL &&
           (across || other->needzero == span->needzero))
        absorb(heap, span, other, &aged);
    if (has_age(heap, span) && aged == 0)
        age_push(heap, span);
    heap->may_merge = true;
    file_free(heap, span);
    span_settle(span);
}

void page_heap_insert_free(struct page_heap *heap, struct span *span)
{
    insert_joined(heap, span, false, 0);
}

/* Joins resident spans with their clean neighbours, so that a request may fit
 * that fits neither kind alone. */
static NH_SLOW void merge_across_kinds(struct page_heap *heap)
{
    size_t clean = heap->clean.pages;
    for (struct span *span = heap->oldest; span != NULL;) {
        struct span *next = span->idle.younger;
        if (free_neighbour(heap, span_end(span), span->lender) != NULL ||
            free_neighbour(heap, span->base - 1, span->lender) != NULL) {
            free_set_remove(set_of(heap, span), span); /* its place by age stays */
            span_change(span);
            insert_joined(heap, span, true, span->pages);
            /* A descriptor that was absorbed keeps its links, and is not used
             * again while the lock is held. */
            while (next != NULL && span_state(next) == SPAN_DEAD)
                next = next->idle.younger;
        }
        span = next;
    }
    heap->may_merge = false;
    charge(heap, clean - heap->clean.pages);
    page_heap_note_clean(heap);
}

/* A free span of `search` pages for what is wanted: a resident one, else one to be had from
 * the system, else one that is another node's. */
static struct span *find_fit(struct page_heap *heap, const struct span_request *want, size_t search)
{
    bool permitted = want->pages <= heap->quota;
    struct span *span = NULL;
    if (nh_unlikely(want->clean_first) && permitted)
        span = free_set_fit(&heap->clean, search);
    if (span == NULL)
        span = free_set_fit(&heap->resident, search);
    if (span == NULL && permitted)
        span = free_set_fit(&heap->clean, search);
    return span != NULL ? span : free_set_fit(&heap->borrowed, search);
}

void page_heap_narrow(struct page_heap *heap, struct span *from, uintptr_t base, size_t pages)
{
    free_set_remove(set_of(heap, from), from); /* its place by age stays */
    span_change(from);
    span_store(&from->base, base);
    span_store(&from->pages, pages);
    span_settle(from);
    file_free(heap, from);
}

/* As page_heap_carve; NULL, and nothing done, without descriptors. */
static struct span *carve(struct page_heap *heap, struct span *from, uintptr_t base, size_t pages,
                          enum span_state state)
{
    size_t head = (base - from->base) >> NH_PAGE_SHIFT;
    size_t tail = from->pages - head - pages;
    if (head == 0 && tail == 0) {
        page_heap_remove_free(heap, from);
        page_heap_note_clean(heap);
        span_set_state(from, state);
        return from;
    }
    struct span *piece = page_heap_descriptor(heap, base, pages);
    if (piece == NULL)
        return NULL;
    struct span *rest = NULL;
    if (head != 0 && tail != 0) {
        rest = page_heap_descriptor(heap, base + (pages << NH_PAGE_SHIFT), tail);
        if (rest == NULL) {
            span_settle(piece); /* as it came */
            fixalloc_put(&heap->spans, piece);
            return NULL;
        }
        rest->needzero = from->needzero;
        span_store(&rest->lender, from->lender);
        span_set_state(rest, SPAN_FREE);
    }
    piece->needzero = from->needzero;
    span_store(&piece->lender, from->lender);
    span_set_state(piece, state);

    if (head == 0)
        page_heap_narrow(heap, from, base + (pages << NH_PAGE_SHIFT), tail);
    else
        page_heap_narrow(heap, from, from->base, head);
    if (rest != NULL) {
        if (has_age(heap, rest)) {
            rest->idle.unused_since_ms = from->idle.unused_since_ms;
            age_link(heap, rest, from, from->idle.older);
        }
        span_settle(rest);
        file_free(heap, rest);
    }
    page_heap_note_clean(heap);
    return piece;
}

struct span *page_heap_carve(struct page_heap *heap, struct span *from, uintptr_t base,
                             size_t pages, enum span_state state)
{
    struct span *piece = carve(heap, from, base, pages, state);
    if (nh_unlikely(piece == NULL)) {
        page_heap_spend(heap, from, base, pages);
        piece = carve(heap, from, base, pages, state);
    }
    return piece;
}

struct span *page_heap_carve_to_use(struct page_heap *heap, struct span *from, uintptr_t base,
                                    size_t pages, enum span_state state)
{
    if (set_of(heap, from) == &heap->clean)
        charge(heap, pages);
    return page_heap_carve(heap, from, base, pages, state);
}

struct span *page_heap_alloc(struct page_heap *heap, const struct span_request *want)
{
    /* With this many, some aligned run of the length is inside. */
    size_t search;
    if (__builtin_add_overflow(want->pages, want->align_pages - 1, &search))
        return NULL;
    lock_acquire(&heap->lock);
    struct span *from = find_fit(heap, want, search);
    if (from == NULL && heap->may_merge && heap->clean.pages <= heap->quota &&
        heap->resident.pages + heap->clean.pages >= search) {
        merge_across_kinds(heap);
        from = find_fit(heap, want, search);
    }
    if (from == NULL && want->may_grow && want->pages <= heap->quota &&
        page_heap_grow(heap, search))
        from = find_fit(heap, want, search);
    if (from == NULL) {
        lock_release(&heap->lock);
        return NULL;
    }
    uintptr_t base = round_up(from->base, want->align_pages << NH_PAGE_SHIFT);
    struct span *span = page_heap_carve_to_use(heap, from, base, want->pages, want->state);
    /* Under the lock only what neighbours look at when they are freed. */
    span_table_set_ends(span, span);
    heap->span_allocs++;
    lock_release(&heap->lock);

    static const struct size_class whole; /* for what has no size class */
    const struct size_class *cut = want->cut != NULL ? want->cut : &whole;
    span_store(&span->cls, want->cls);
    span_store(&span->bytes, cut->bytes);
    span_store(&span->index_magic, cut->index_magic);
    span_store(&span->objects, cut->objects);
    span->free_objects = 0;
    span->cursor = 0;
    if (cut->objects != 0)
        object_bits_fill(&span->bits, cut->objects);
    span_settle(span);
    if (span->pages > 2)
        span_table_set(span->base + NH_PAGE, span->pages - 2, span);
    return span;
}

bool page_heap_free(struct page_heap *heap, struct span *span, bool zeroed)
{
    lock_acquire(&heap->lock);
    heap->span_frees++;
    span_change(span);
    span_store(&span->cls, 0);
    span->needzero = !zeroed;
    span_set_state(span, SPAN_FREE);
    if (zeroed && span->lender == heap->slot)
        page_heap_refund(heap, span->pages);
    page_heap_insert_free(heap, span);
    bool much = page_heap_is_much(heap);
    lock_release(&heap->lock);
    page_heap_decay(heap);
    return much;
}

bool page_heap_extend(struct page_heap *heap, struct span *span, size_t pages)
{
    uintptr_t end = span_end(span);
    lock_acquire(&heap->lock);
    /* Free memory may go on as spans of both kinds in turn. */
    size_t have = 0;
    while (have < pages) {
        const struct span *next = free_neighbour(heap, end + (have << NH_PAGE_SHIFT), span->lender);
        if (next == NULL)
            break;
        have += next->pages;
    }
    bool fits = have >= pages && pages <= heap->quota;
    for (size_t taken = 0; fits && taken < pages;) {
        struct span *next = free_neighbour(heap, end + (taken << NH_PAGE_SHIFT), span->lender);
        nh_require(next != NULL); /* as above: the lock was held since */
        size_t some = pages - taken < next->pages ? pages - taken : next->pages;
        page_heap_retire(heap, page_heap_carve_to_use(heap, next, next->base, some, SPAN_MANUAL));
        taken += some;
    }
    if (fits) {
        span_change(span);
        span_store(&span->pages, span->pages + pages);
        span_settle(span);
        span_table_set_page(span_end(span) - NH_PAGE, span);
    }
    lock_release(&heap->lock);
    if (fits)
        span_table_set(end, pages, span);
    return fits;
}

bool page_heap_shrink(struct page_heap *heap, struct span *span, size_t pages)
{
    struct loan rest = {.base = span->base + (pages << NH_PAGE_SHIFT),
                        .pages = span->pages - pages,
                        .needzero = true,
                        .lender = span->lender};
    lock_acquire(&heap->lock);
    span_change(span);
    span_store(&span->pages, pages);
    span_settle(span);
    span_table_set_page(span_end(span) - NH_PAGE, span);
    page_heap_take_in(heap, &rest);
    bool much = page_heap_is_much(heap);
    lock_release(&heap->lock);
    return much;
}
