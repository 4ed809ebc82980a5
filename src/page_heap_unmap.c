/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * page_heap_unmap.c - how a page heap's address space goes back to the system: clean
 * pages, which use no memory, but for page tables, entries in the span table, and what
 * a limit on address space leaves for others.
 */
#include "log.h"
#include "options.h"
#include "os.h"
#include "page_heap.h"
#include "page_heap_internal.h"
#include "span_table.h"

/* Address space is looked at no more often than this, whatever the time of decay: to get
 * it again takes a system call and page faults. */
#define TRIM_LEAST_MS 1000

/* Unmaps a piece that was carved from clean pages, without the heap's lock. */
static bool unmap(struct page_heap *heap, struct span *piece)
{
    uintptr_t base = piece->base;
    size_t pages = piece->pages;
    /* Before others can get these addresses from the system.  Nobody has a pointer to
     * them, and lookups find a span that is changing, or none. */
    span_table_clear(base, pages);
    bool done = os_unmap((void *)base, pages << NH_PAGE_SHIFT);
    if (done)
        span_table_uncover(base, pages);
    lock_acquire(&heap->lock);
    if (done) {
        heap->mapped_pages -= pages;
        heap->unmaps++;
        /* The heap grows downwards: again from there. */
        if (heap->grown_at == base)
            heap->grown_at = span_end(piece);
        page_heap_retire(heap, piece);
    } else {
        if (heap->top == base || heap->top == 0)
            heap->top = span_end(piece);
        span_set_state(piece, SPAN_FREE);
        page_heap_insert_free(heap, piece);
    }
    lock_release(&heap->lock);
    return done;
}

/* Under the lock: takes clean pages that are not meant to be used. */
static struct span *carve(struct page_heap *heap, struct span *from, uintptr_t base, size_t pages)
{
    struct span *piece = page_heap_carve(heap, from, base, pages, SPAN_MANUAL);
    /* What is freed beside it meanwhile must not join it. */
    span_table_set_ends(piece, NULL);
    if (heap->top == span_end(piece))
        heap->top = span_table_hint(piece->base - NH_PAGE) != NULL ? piece->base : 0;
    return piece;
}

bool page_heap_unmap(struct page_heap *heap, size_t pages)
{
    size_t whole = os_whole_page() >> NH_PAGE_SHIFT;
    pages = round_up(pages, whole);
    size_t search = pages + whole - 1; /* among so many they begin with a page of the system */
    page_heap_releasing_begin(heap);   /* as in trim_next */
    lock_acquire(&heap->lock);
    struct span *from = free_set_fit(&heap->clean, search);
    struct span *piece = NULL;
    /* The lower end, where a heap that grows downwards has its last mapping. */
    if (from != NULL)
        piece = carve(heap, from, round_up(from->base, os_page()), pages);
    lock_release(&heap->lock);
    bool done = piece != NULL && unmap(heap, piece);
    page_heap_releasing_end(heap);
    return done;
}

/* Under the lock: at most `most` pages, in whole huge pages, of a clean span; NULL without one. */
static struct span *carve_huge(struct page_heap *heap, struct span *from, size_t most)
{
    uintptr_t first = round_up(from->base, NH_HUGE);
    uintptr_t last = round_down(span_end(from), NH_HUGE);
    if (first >= last)
        return NULL;
    size_t pages = (last - first) >> NH_PAGE_SHIFT;
    return carve(heap, from, first, pages < most ? pages : most);
}

/* Spans are looked at from the longest to those that are shorter than a huge page.  Any may lie so
 * that no whole one is in it, however long the others are. */
struct course {
    size_t pages; /* of the last one looked at, */
    uintptr_t base;
    bool ended;
};

/* The next one's huge pages go; returns how many pages, or ends the course if they cannot. */
static size_t trim_next(struct page_heap *heap, size_t most, struct course *course)
{
    /* Who needs memory at any price waits until it is the system's. */
    page_heap_releasing_begin(heap);
    lock_acquire(&heap->lock);
    struct span *from = treap_before(&heap->clean.longer, course->pages, course->base);
    struct span *piece = NULL;
    size_t pages = 0;
    if (from == NULL || from->pages < NH_HUGE_PAGES) {
        course->ended = true;
    } else {
        course->pages = from->pages;
        course->base = from->base;
        piece = carve_huge(heap, from, most);
    }
    if (piece != NULL)
        pages = piece->pages;
    lock_release(&heap->lock);
    if (piece != NULL && !unmap(heap, piece)) {
        course->ended = true;
        pages = 0;
    }
    page_heap_releasing_end(heap);
    return pages;
}

size_t page_heap_trim(struct page_heap *heap, size_t most)
{
    size_t unmapped = 0;
    most = round_down(most, NH_HUGE_PAGES);
    struct course course = {.pages = SIZE_MAX};
    while (unmapped < most && !course.ended)
        unmapped += trim_next(heap, most - unmapped, &course);
    char room[PAGE_HEAP_PLACE_ROOM];
    if (unmapped != 0)
        log_line(LOG_TRACE, "unmap: %s gave back %zu KiB of addresses, %zu KiB mapped",
                 page_heap_place(heap, room), unmapped << (NH_PAGE_SHIFT - 10),
                 page_heap_mapped(heap) >> 10);
    return unmapped;
}

/* Under the lock: what the heap would ask for at once when it grows. */
static size_t reserve(const struct page_heap *heap)
{
    size_t step = heap->mapped_pages >> NH_GROW_SHIFT;
    return step > NH_HUGE_PAGES ? step : NH_HUGE_PAGES;
}

void page_heap_trim_all(struct page_heap *heap)
{
    lock_acquire(&heap->lock);
    size_t clean = heap->clean.pages, keep = reserve(heap);
    lock_release(&heap->lock);
    if (clean > keep)
        page_heap_trim(heap, clean - keep);
}

void page_heap_trim_idle(struct page_heap *heap)
{
    uint64_t period = (uint64_t)options_get(OPT_DECAY);
    if (period < TRIM_LEAST_MS)
        period = TRIM_LEAST_MS;
    lock_acquire(&heap->lock);
    uint64_t now = os_now_ms(); /* not before what another wrote there */
    bool due = now - heap->trimmed_ms >= period;
    size_t idle = heap->clean_least, keep = reserve(heap);
    if (due) {
        heap->trimmed_ms = now;
        heap->clean_least = heap->clean.pages;
    }
    lock_release(&heap->lock);
    if (due && idle > keep)
        page_heap_trim(heap, idle - keep);
}
