/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * page_heap.h - one node's pages: free spans, splitting, coalescing, growth,
 * and the return of pages to the system.
 *
 * Free spans are of two kinds, kept apart: resident ones (they may hold old
 * data; needzero) and clean ones (never touched or given back; they read as
 * zeros and use no memory).  Allocation prefers resident memory, so that the
 * heap stays small and its pages warm; neighbours of a kind are one span
 * always, neighbours of both kinds only when nothing else fits.
 *
 * Taking clean pages is taking memory from the system: a quota says how many
 * may be taken, whoever calls renews it (heap_room.c).
 *
 * Pages that another heap lent are free spans of a third kind, joined only with
 * pages of the same lender.
 *
 * The lock is short: no system call is made under it but those of growth, of the heap or, each
 * some thousand spans, of its descriptors.
 */
#ifndef NH_PAGE_HEAP_H
#define NH_PAGE_HEAP_H

#include "fixalloc.h"
#include "free_set.h"
#include "lock.h"
#include "size_class.h"

/* A walk over the resident free spans by age, of which the lock is let go on the way. */
struct sweep {
    struct span *at; /* where it goes on, whatever becomes of that span; NULL: at its end */
    struct sweep *next;
    /* Of one on a thread's stack: */
    const struct page_heap *heap;
    struct sweep *outer; /* that this one's thread is in the midst of */
};

struct page_heap {
    /* Held while spans are out of the free sets to be given back: who needs
     * memory at any price waits for it.  Taken before `lock`, and through `turn`, which is held
     * while it is waited for only: who gives back batch after batch comes behind who waits. */
    struct lock turn, releasing;
    struct lock lock;
    unsigned slot;             /* home of all its spans; constant */
    _Atomic uint64_t swept_ms; /* last decay; without the lock */
    _Atomic bool more_is_due;  /* it ended before all had gone; the same */
    /* Guarded by lock: */
    struct free_set clean, resident;
    struct free_set borrowed; /* other heaps' pages that are free here, of both kinds */
    size_t in_release;        /* pages that are given back now, and will be added to the quota */
    size_t quota;             /* clean pages that may be taken before the system is asked again */
    size_t limit_pages;       /* most own pages that are not clean */
    size_t lent_pages;        /* own pages that other heaps have */
    size_t borrowed_pages;    /* other heaps' pages here */
    uint64_t lends, borrows;  /* runs of pages */
    struct span *youngest, *oldest; /* resident spans by time of free */
    struct sweep decay;             /* of all threads together, piece by piece */
    struct sweep *sweeps;           /* that are under way; decay is the last, and always there */
    uintptr_t grown_at;             /* where the last growth lies: the next goes below it */
    uintptr_t top;                  /* end of a mapping whose last page is ours, or 0 */
    uint64_t frees_swept;           /* span_frees then */
    size_t watch_pages;             /* resident free pages that are much (watch.h) */
    size_t clean_least;             /* fewest clean pages since trimmed_ms */
    uint64_t trimmed_ms;
    size_t mapped_pages;
    bool may_merge; /* a resident span was freed since the last merge across kinds */
    /* The kernel may have put huge pages under some of it; only ever set, relaxed. */
    _Atomic bool may_be_huge;
    uint64_t span_allocs, span_frees, grows, scavenges, unmaps;
    uint64_t released_pages; /* ever */
    struct fixalloc spans;
};

/* What a span is wanted for. */
struct span_request {
    size_t pages;
    size_t align_pages;    /* power of two */
    enum span_state state; /* IN_USE or MANUAL */
    uint8_t cls;
    const struct size_class *cut; /* into objects, all free; NULL: into none */
    /* Whether it shall rather lie in clean memory: spans that stay for long lie close together
     * there, and what is between them can go back to the system. */
    bool clean_first;
    /* Whether the caller does with less else: nothing is given back for its sake, and it is not
     * told that there was no memory (heap_span_alloc). */
    bool modest;
    /* Whether the heap may ask the system for more. */
    bool may_grow;
};

/* Without limit, and with a boundless quota. */
void page_heap_init(struct page_heap *heap, unsigned slot);

/* What messages call it: its memory's node, as the system numbers it, or "interleaved memory". */
#define PAGE_HEAP_PLACE_ROOM 16
const char *page_heap_place(const struct page_heap *heap, char room[PAGE_HEAP_PLACE_ROOM]);

/* Sets the limit and, within it, a quota: a first one before the heap is used, and 0 later,
 * which is renewed at once. */
void page_heap_limit(struct page_heap *heap, size_t limit_pages, size_t quota);
/* Lets the heap take clean pages: as many as `room`, what the system can give,
 * and the limit allow, but not more than `most` (or `pages`, if that is more).  What it may
 * take already stays, within `room`: another thread asked for it.
 * False, and nothing changed, when that is less than `pages`. */
bool page_heap_permit(struct page_heap *heap, size_t pages, size_t room, size_t most);
/* What is left of it. */
size_t page_heap_quota(struct page_heap *heap);
/* Leaves a quota of at most `room` pages. */
void page_heap_cut_quota(struct page_heap *heap, size_t room);

/* ---- Loans between heaps (page_heap_loan.c); two heaps are never locked at
 * once: between the calls the pages belong to the caller. ---- */

struct loan {
    uintptr_t base;
    size_t pages;
    bool needzero;
    uint8_t lender; /* slot */
};

/* Takes a run of free pages, at least `least` and if it can `most`, out of a
 * heap: resident ones, and if the heap may grow clean or new ones, within its
 * quota. */
bool page_heap_lend(struct page_heap *lender, size_t least, size_t most, bool may_grow,
                    struct loan *out);
/* Puts a run into the free pages of the heap that borrows it. */
void page_heap_borrow(struct page_heap *borrower, const struct loan *loan);
/* Takes a free borrowed run out of a heap; false if it has none. */
bool page_heap_pick_borrowed(struct page_heap *borrower, struct loan *out);
/* Puts a run back where it came from; returns as page_heap_free. */
bool page_heap_take_back(struct page_heap *lender, const struct loan *loan);

/* ---- Pages for metadata (page_heap_metadata.c) ---- */

/* Takes `pages` out of the heap's free ones for ever, where the system gives no memory:
 * zeroed; NULL when there are not so many in one piece. */
void *page_heap_give(struct page_heap *heap, size_t pages);

/* ---- Spans ---- */

/* A span in the state asked for and cut as asked for, every page of it in the span
 * table; span->needzero tells whether to clear the pages.
 * The home words are the caller's to set.  NULL when nothing fits and the heap
 * may not or cannot grow. */
struct span *page_heap_alloc(struct page_heap *heap, const struct span_request *want);

/* Takes back an IN_USE or MANUAL span whose home words are zero; `zeroed` when
 * its pages are known to be given back.  The descriptor is not the caller's
 * any more.  Returns whether much is free and resident now, as page_heap_has_much. */
bool page_heap_free(struct page_heap *heap, struct span *span, bool zeroed);

/* Tells the system of a heap's own addresses that were mapped just now: their node, and whether
 * there may be huge pages. */
void page_heap_advise(const struct page_heap *heap, void *at, size_t bytes);

NH_INLINE bool page_heap_may_be_huge(const struct page_heap *heap)
{
    return atomic_load_explicit(&heap->may_be_huge, memory_order_relaxed);
}

/* Grows an allocated span in place by `pages` if the pages after it are free;
 * false, and nothing done, if not. */
bool page_heap_extend(struct page_heap *heap, struct span *span, size_t pages);
/* Cuts an allocated span after its first `pages` and frees the rest; returns as page_heap_free. */
bool page_heap_shrink(struct page_heap *heap, struct span *span, size_t pages);

/* Gives back resident free spans, oldest first, until at most `keep` pages are
 * resident and free.  Returns pages released. */
size_t page_heap_release(struct page_heap *heap, size_t keep);
/* In fork's child, with the heap's locks held: forgets the sweeps of threads that it does not have,
 * whose stacks others get.  Its own goes on, where a handler interrupted it and forked. */
void page_heap_fork_child(struct page_heap *heap);
/* No pages go to the system between these.  All but fork, which keeps both, take the lock
 * `releasing` so. */
void page_heap_releasing_begin(struct page_heap *heap);
void page_heap_releasing_end(struct page_heap *heap);
/* Waits until no pages are on their way to the system. */
void page_heap_await_release(struct page_heap *heap);
/* Gives back what has been free for longer than the decay option says; looks
 * at most a few times in that time.  One call gives back but a piece of much, and the calls from
 * NH_PIECE_MS on the next ones; without a time of decay all of it. */
void page_heap_decay(struct page_heap *heap);
/* Whether the last call left such as was due.  Cheap. */
NH_INLINE bool page_heap_more_is_due(const struct page_heap *heap)
{
    return atomic_load_explicit(&heap->more_is_due, memory_order_relaxed);
}

/* Whether so much is free and resident that somebody should look at the time (watch.h): little
 * is much where few spans were freed between the last two looks of page_heap_decay. */
bool page_heap_has_much(struct page_heap *heap);

/* What is known of a free span beside its view. */
struct page_heap_idle {
    bool clean;      /* never touched or given back */
    bool aged;       /* own and resident, so that its time is kept */
    uint64_t age_ms; /* when aged: how long it, or its largest part, has been free */
};
/* False when the span is not what the view says any more, or not free. */
bool page_heap_look(struct page_heap *heap, const struct span_view *view,
                    struct page_heap_idle *out);

/* ---- Address space (page_heap_unmap.c) ---- */

/* Gives `pages` of clean address space back, whole system pages, in one piece; false if there is
 * none such. */
bool page_heap_unmap(struct page_heap *heap, size_t pages);
/* Gives back `most` clean pages or fewer, in whole huge pages, the longest runs first.
 * Returns pages unmapped. */
size_t page_heap_trim(struct page_heap *heap, size_t most);
/* Gives back all clean pages but what the heap would soon ask for again. */
void page_heap_trim_all(struct page_heap *heap);
/* The same of those only that no allocation has come near for the time of decay. */
void page_heap_trim_idle(struct page_heap *heap);

/* Bytes obtained from the system. */
size_t page_heap_mapped(struct page_heap *heap);
/* Bytes ever given back to it of what was resident. */
uint64_t page_heap_released(struct page_heap *heap);
/* Own pages that are not clean: what the heap has of the system's memory. */
size_t page_heap_used(struct page_heap *heap);
/* Own free pages of both kinds. */
size_t page_heap_free_pages(struct page_heap *heap);
/* Own free pages that are resident. */
size_t page_heap_resident_pages(struct page_heap *heap);
/* The most own pages that are not clean, by its limit; SIZE_MAX without one. */
size_t page_heap_limit_pages(struct page_heap *heap);

#endif
