/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * large.c - see large.h.
 */
#include "large.h"

#include "bad_pointer.h"
#include "cache.h"
#include "guard_pages.h"
#include "harden.h"
#include "heap.h"
#include "moves.h"
#include "options.h"
#include "os.h"
#include "profile.h"
#include "row.h"
#include "span_table.h"
#include "special.h"

#include <string.h>

/* An object that had to move to grow may grow by this part of itself before
 * it moves again. */
#define MOVE_SLACK_SHIFT 3

/* realloc moves pages instead of copying from this size on: below it the system
 * call, the page faults that follow, and what both cost other threads (the address
 * space's lock, TLBs) are more than the copy. */
#define MOVE_LEAST ((size_t)2 << 20)

/* calloc writes objects of up to so many bytes even where their memory is clean. */
#define CALLOC_WRITTEN ((size_t)256 << 10)

/* Shrinking in place is worth the lock from this part of the object on. */
#define SHRINK_SHIFT 2

static bool pages_of(size_t size, size_t *pages)
{
    *pages = (size >> NH_PAGE_SHIFT) + ((size & (NH_PAGE - 1)) != 0);
    return size <= PTRDIFF_MAX;
}

static struct span *span_new(struct heap *heap, const struct span_request *want)
{
    (void)heap_tick(heap);
    struct span *span = guard_span_alloc(heap, want);
    if (span == NULL)
        return NULL;
    heap_count_large(heap, 1, span->pages);
    /* The class says it all; a row for each heap, the interleaved one too,
     * would be memory for nothing. */
    span_table_set_home_page(span->base, row_home(0, NH_CLASS_LARGE));
    return span;
}

/* False when another thread has freed it just now. */
static bool span_drop(struct heap *heap, struct span *span, bool zeroed)
{
    if (nh_unlikely(span_table_claim_home(span->base) == 0))
        return false;
    heap_count_large(heap, (size_t)-1, (size_t)0 - span->pages);
    guard_span_free(heap, span, zeroed);
    return true;
}

struct heap *large_heap(size_t size)
{
    long threshold = options_get(OPT_INTERLEAVE);
    /* Small ones come here for their alignment; they are never spread. */
    if (nh_unlikely(threshold != 0) && size >= (size_t)threshold && size > NH_CLASS_MAX)
        return heap_get(NH_HEAP_INTERLEAVED);
    return cache_heap();
}

void *large_alloc_unsampled(struct heap *heap, size_t size, size_t alignment, bool *zeroed)
{
    size_t pages;
    if (!pages_of(size, &pages))
        return NULL;
    size_t align_pages = alignment <= NH_PAGE ? 1 : alignment >> NH_PAGE_SHIFT;
    struct span_request want = {.pages = pages == 0 ? 1 : pages,
                                .align_pages = align_pages,
                                .state = SPAN_IN_USE,
                                .cls = NH_CLASS_LARGE};
    struct span *span = span_new(heap, &want);
    if (span == NULL)
        return NULL;
    /* A page that is read first is mapped twice, and the second time the system interrupts
     * every CPU of the process: tables are read first, and only large ones may stay sparse. */
    *zeroed = !span->needzero && size > CALLOC_WRITTEN;
    return (void *)span->base;
}

static size_t bytes_of(const void *object)
{
    const struct span *span = span_table_hint((uintptr_t)object);
    return span != NULL ? span->pages << NH_PAGE_SHIFT : 0;
}

static void sample(void *object)
{
    if (!profile_on() || object == NULL)
        return;
    size_t bytes = bytes_of(object);
    profile_large(object, bytes, bytes);
}

void *large_alloc(struct heap *heap, size_t size, size_t alignment, bool *zeroed)
{
    void *object = large_alloc_unsampled(heap, size, alignment, zeroed);
    sample(object);
    return object;
}

void large_free(void *ptr)
{
    struct span *span = span_table_hint((uintptr_t)ptr);
    if (nh_unlikely(span == NULL || (uintptr_t)ptr != span->base)) {
        bad_pointer_report("free", ptr);
        return;
    }
    struct heap *heap = heap_if_exists(span->slot);
    if (nh_unlikely(!span_drop(heap, span, false)))
        bad_pointer_report("free", ptr);
    else
        cache_count_free(heap);
}

void *large_pages_alloc(struct heap *heap, size_t pages)
{
    struct span_request want = {
        .pages = pages, .align_pages = 1, .state = SPAN_MANUAL, .cls = NH_CLASS_PAGES};
    struct span *span =
        pages <= PTRDIFF_MAX >> NH_PAGE_SHIFT ? guard_span_alloc(heap, &want) : NULL;
    if (span == NULL)
        return NULL;
    span_table_set_home_page(span->base, row_home(0, NH_CLASS_PAGES));
    return (void *)span->base;
}

void large_pages_free(void *ptr)
{
    struct span *span = span_table_hint((uintptr_t)ptr);
    /* The claim decides between two that free it. */
    if (nh_unlikely(row_home_class(span_table_home((uintptr_t)ptr)) != NH_CLASS_PAGES ||
                    (uintptr_t)ptr % NH_PAGE != 0 || span_table_claim_home((uintptr_t)ptr) == 0)) {
        bad_pointer_report("nh_pages_free", ptr);
        return;
    }
    guard_span_free(heap_if_exists(span->slot), span, false);
}

size_t large_usable_size(const void *ptr)
{
    if (nh_unlikely(row_home_class(span_table_home((uintptr_t)ptr)) == NH_CLASS_SPECIAL)) {
        size_t size = special_sampled_size(ptr);
        if (size != 0)
            return size;
    }
    const struct span *span = span_table_hint((uintptr_t)ptr);
    return span != NULL ? span_end(span) - (uintptr_t)ptr : 0;
}

/* Puts a span's pages where another's are, which has as many: so many bytes of them, from the
 * first one on; the others are to be copied. */
static size_t move_pages(const struct span *span, const struct span *new)
{
    if (new->lender != span->lender || new->pages < span->pages)
        return 0;
    /* A huge page moves as one only to where one may be; it would be taken apart. */
    const struct page_heap *owner = &heap_if_exists(new->lender)->pages;
    if (page_heap_may_be_huge(owner) && (span->base ^ new->base) % NH_HUGE != 0)
        return 0;
    size_t bytes = span->pages << NH_PAGE_SHIFT;
    if (bytes < MOVE_LEAST || !moves_take())
        return 0;
    bool anew;
    size_t moved = os_move_pages((void *)span->base, (void *)new->base, bytes, &anew);
    if (anew)
        page_heap_advise(owner, (void *)(new->base + moved), bytes - moved);
    return moved;
}

/* To a new span, with room to grow. */
static void *move(struct span *span, struct heap *from, size_t size, size_t pages)
{
    struct heap *to = from->slot == NH_HEAP_INTERLEAVED ? from : large_heap(size);
    if (to == NULL)
        return NULL;
    struct span_request want = {
        .pages = pages, .align_pages = 1, .state = SPAN_IN_USE, .cls = NH_CLASS_LARGE};
    struct span_request roomy = want;
    roomy.pages += pages >> MOVE_SLACK_SHIFT;
    roomy.modest = true;
    /* So that its huge pages can move the next time.  (A guard would need as much before it.) */
    if (!harden_on() && page_heap_may_be_huge(&to->pages) && size >= MOVE_LEAST)
        roomy.align_pages = NH_HUGE_PAGES;
    struct span *new = pages > span->pages ? span_new(to, &roomy) : NULL;
    if (new == NULL)
        new = span_new(to, &want);
    if (new == NULL)
        return NULL;

    size_t bytes = span->pages << NH_PAGE_SHIFT;
    /* Moved pages stay on the node they are on: only within a node. */
    size_t moved = to == from ? move_pages(span, new) : 0;
    if (moved < bytes)
        memcpy((void *)(new->base + moved), (void *)(span->base + moved),
               (bytes < size ? bytes : size) - moved);
    void *at = (void *)new->base;
    (void)span_drop(from, span, moved == bytes);
    return at;
}

/* Never grows or shrinks in place. */
static NH_SLOW void *resize_guarded(struct span *span, struct heap *heap, size_t size, size_t pages)
{
    void *ptr = (void *)span->base;
    if (pages <= span->pages && span->pages - pages <= span->pages >> SHRINK_SHIFT)
        return ptr;
    void *object = move(span, heap, size, pages);
    /* To have less is never refused. */
    return object != NULL || pages > span->pages ? object : ptr;
}

static void *resize(void *ptr, size_t size)
{
    struct span *span = span_table_hint((uintptr_t)ptr);
    if (nh_unlikely(span == NULL || (uintptr_t)ptr != span->base)) {
        bad_pointer_report("realloc", ptr);
        return NULL;
    }
    struct heap *heap = heap_if_exists(span->slot);
    size_t pages;
    if (!pages_of(size, &pages))
        return NULL;
    size_t had = span->pages;
    if (harden_on()) /* guards stand at both ends */
        return resize_guarded(span, heap, size, pages);
    if (pages <= had) {
        if (had - pages > had >> SHRINK_SHIFT) {
            heap_span_shrink(heap, span, pages);
            heap_count_large(heap, 0, span->pages - had);
        }
        return ptr;
    }
    if (page_heap_extend(&heap->pages, span, pages - had)) {
        heap_count_large(heap, 0, pages - had);
        return ptr;
    }
    return move(span, heap, size, pages);
}

/* For a profile, an object that stays where it is and does not shrink is the same that
 * grew; else it is the end of one and the beginning of another. */
static NH_SLOW void *resize_for_profile(void *ptr, size_t size)
{
    /* Unlinked first: when the object moves, another may soon be at the address. */
    struct special *sampled = NULL;
    if (row_home_class(span_table_home((uintptr_t)ptr)) == NH_CLASS_SPECIAL)
        sampled = special_unlink(ptr, SPECIAL_SAMPLE);
    size_t had = bytes_of(ptr);
    void *object = resize(ptr, size);
    size_t has = object != NULL ? bytes_of(object) : had;
    bool same = object == NULL || (object == ptr && has >= had);
    if (sampled != NULL && same) {
        if (has > had)
            profile_grown(&sampled->ticket, has);
        (void)special_link(sampled, ptr);
        return object;
    }
    if (sampled != NULL) {
        profile_freed(&sampled->ticket);
        special_drop(sampled);
    }
    size_t fresh = same ? has - had : has;
    if (profile_on() && fresh != 0)
        profile_large(object, has, fresh);
    return object;
}

void *large_realloc(void *ptr, size_t size)
{
    if (profile_on() || row_home_class(span_table_home((uintptr_t)ptr)) == NH_CLASS_SPECIAL)
        return resize_for_profile(ptr, size);
    return resize(ptr, size);
}
