/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit_page_heap.c - a node's pages: a model of what is allocated, and after
 * every operation a walk over all free spans that must tile, with the
 * allocated ones, exactly what the heap got from the system.
 *
 * Memory is real.  Spans are filled with garbage while they are allocated, so
 * that a span that wrongly claims to be zeroed is found out.  Each test has a
 * heap of its own, with a slot of its own.
 */
#include "limits.h"
#include "options.h"
#include "os.h"
#include "page_heap.h"
#include "span_table.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

/* An errno that nothing here sets. */
#define UNTOUCHED EXDEV

/* So long that nothing decays by itself here; DECAY_TEXT is the same. */
#define DECAY_MS   UINT64_C(86400000)
#define DECAY_TEXT "86400000"

#define CLASS 7

#define LIVE_MOST    200
#define RUNS_MOST    4000
#define REGIONS_MOST 400

/* A run of pages, as a walk finds it: an allocated span or a free one. */
struct run {
    struct span *span;
    uintptr_t base;
    size_t pages;
    bool free;
    bool needzero;
};

/* What the test knows of an allocated span. */
struct live {
    struct span *span;
    uintptr_t base;
    size_t pages;
    enum span_state state;
    unsigned char fill;
};

struct bed {
    struct page_heap *heap;
    struct live live[LIVE_MOST];
    size_t lives;
    /* What came from the system. */
    struct run region[REGIONS_MOST];
    size_t regions, mapped;
    /* The last walk, by address. */
    struct run run[RUNS_MOST];
    size_t runs;
};

static struct bed bed;
static unsigned short seed[3];

/* The heap's time.  It stands still, however slow the machine. */
#define NOW_MS (4 * DECAY_MS)

uint64_t __wrap_os_now_ms(void);
uint64_t __wrap_os_now_ms(void)
{
    return NOW_MS;
}

static const struct span *find(uintptr_t address)
{
    struct span_view view;
    return span_table_find(address, &view) == SPAN_FOUND ? view.span : NULL;
}

static size_t below(size_t n)
{
    return (size_t)nrand48(seed) % n;
}

/* ---- the walk ---- */

static int by_base(const void *a, const void *b)
{
    const struct run *x = a, *y = b;
    return x->base < y->base ? -1 : x->base > y->base;
}

static void add_run(struct span *span, bool is_free)
{
    assert_in_range(bed.runs, 0, RUNS_MOST - 1);
    bed.run[bed.runs++] =
        (struct run){span, span->base, span->pages, is_free, is_free && span->needzero};
}

static void add_free(struct span *span, bool resident)
{
    assert_int_equal(span_state(span), SPAN_FREE);
    assert_int_equal(span->needzero, resident);
    assert_int_equal(span->slot, bed.heap->slot);
    assert_int_equal(span->cls, 0);
    assert_ptr_equal(find(span->base), span);
    assert_ptr_equal(find(span_end(span) - 1), span);
    add_run(span, true);
}

static void add_set(const struct free_set *set, bool resident)
{
    size_t pages = 0;
    for (size_t n = 0; n < NH_LISTED_PAGES; n++)
        for (struct span *span = set->list[n].first; span != NULL; span = span->next) {
            assert_int_equal(span->pages, n);
            add_free(span, resident);
            pages += n;
        }
    for (struct span *span = treap_before(&set->longer, SIZE_MAX, 0); span != NULL;
         span = treap_before(&set->longer, span->pages, span->base)) {
        assert_true(span->pages >= NH_LISTED_PAGES);
        add_free(span, resident);
        pages += span->pages;
    }
    assert_int_equal(set->pages, pages);
}

/* The list by age holds exactly the resident spans, in order of time. */
static void check_ages(void)
{
    size_t pages = 0;
    const struct span *older = NULL;
    for (const struct span *span = bed.heap->oldest; span != NULL; span = span->idle.younger) {
        assert_int_equal(span_state(span), SPAN_FREE);
        assert_true(span->needzero);
        assert_ptr_equal(span->idle.older, older);
        /* The clock may be younger than what tests make of it: no plain <=. */
        if (older != NULL)
            assert_true((int64_t)(span->idle.unused_since_ms - older->idle.unused_since_ms) >= 0);
        older = span;
        pages += span->pages;
    }
    assert_ptr_equal(bed.heap->youngest, older);
    assert_int_equal(pages, bed.heap->resident.pages);
}

/* Finds all spans again and checks all that must hold between operations. */
static void walk(void)
{
    struct page_heap *heap = bed.heap;
    if (heap->mapped_pages != bed.mapped) {
        assert_in_range(bed.regions, 0, REGIONS_MOST - 1);
        size_t pages = heap->mapped_pages - bed.mapped;
        bed.region[bed.regions++] = (struct run){.base = heap->grown_at, .pages = pages};
        bed.mapped = heap->mapped_pages;
        qsort(bed.region, bed.regions, sizeof(struct run), by_base);
    }
    assert_int_equal(heap->grows, bed.regions);

    bed.runs = 0;
    add_set(&heap->resident, true);
    add_set(&heap->clean, false);
    check_ages();
    for (size_t i = 0; i < bed.lives; i++) {
        const struct live *live = &bed.live[i];
        assert_int_equal(live->span->base, live->base);
        assert_int_equal(live->span->pages, live->pages);
        assert_int_equal(span_state(live->span), live->state);
        assert_int_equal(live->span->cls, CLASS);
        add_run(live->span, false);
    }

    /* They tile the regions. */
    qsort(bed.run, bed.runs, sizeof(struct run), by_base);
    size_t i = 0;
    for (size_t r = 0; r < bed.regions; r++) {
        uintptr_t at = bed.region[r].base;
        uintptr_t end = at + bed.region[r].pages * NH_PAGE;
        /* A span may go over the border of two regions. */
        while (r + 1 < bed.regions && bed.region[r + 1].base == end)
            end += bed.region[++r].pages * NH_PAGE;
        while (at < end) {
            assert_in_range(i, 0, bed.runs - 1);
            const struct run *run = &bed.run[i++];
            assert_int_equal(run->base, at);
            assert_true(run->pages > 0);
            at += run->pages * NH_PAGE;
            /* Neighbours of a kind are one span. */
            if (run->free && at < end && bed.run[i].free)
                assert_true(run->needzero != bed.run[i].needzero);
        }
        assert_int_equal(at, end);
    }
    assert_int_equal(i, bed.runs);
    assert_int_equal(page_heap_mapped(heap), bed.mapped * NH_PAGE);
    assert_int_equal(page_heap_free_pages(heap), heap->resident.pages + heap->clean.pages);
}

/* Every page of every allocated span is its own in the table. */
static void check_table(void)
{
    for (size_t i = 0; i < bed.lives; i++)
        for (size_t page = 0; page < bed.live[i].pages; page++)
            assert_ptr_equal(find(bed.live[i].base + page * NH_PAGE + 1), bed.live[i].span);
}

/* Of the last walk: the shortest free span of a kind with `pages`, 0 if none. */
static size_t shortest_fit(size_t pages, bool needzero)
{
    size_t best = 0;
    for (size_t i = 0; i < bed.runs; i++)
        if (bed.run[i].free && bed.run[i].needzero == needzero && bed.run[i].pages >= pages &&
            (best == 0 || bed.run[i].pages < best))
            best = bed.run[i].pages;
    return best;
}

/* Free pages of whichever kinds from `address` on. */
static size_t free_run_at(uintptr_t address)
{
    size_t pages = 0;
    for (size_t i = 0; i < bed.runs; i++)
        if (bed.run[i].free && bed.run[i].base == address + pages * NH_PAGE)
            pages += bed.run[i].pages;
    return pages;
}

static size_t longest_free_run(void)
{
    size_t longest = 0;
    for (size_t i = 0; i < bed.runs; i++) {
        size_t pages = bed.run[i].free ? free_run_at(bed.run[i].base) : 0;
        if (pages > longest)
            longest = pages;
    }
    return longest;
}

/* Whether the pages lie in a run of free pages that has room for them so
 * aligned. */
static bool any_place(size_t pages, size_t align_pages)
{
    for (size_t i = 0; i < bed.runs; i++) {
        if (!bed.run[i].free)
            continue;
        uintptr_t end = bed.run[i].base + free_run_at(bed.run[i].base) * NH_PAGE;
        uintptr_t at = round_up(bed.run[i].base, align_pages * NH_PAGE);
        if (at < end && (end - at) / NH_PAGE >= pages)
            return true;
    }
    return false;
}

/* ---- contents ---- */

static bool all_bytes_are(uintptr_t base, size_t pages, unsigned char value)
{
    const unsigned char *at = (const unsigned char *)base;
    size_t bytes = pages * NH_PAGE;
    return at[0] == value && memcmp(at, at + 1, bytes - 1) == 0;
}

/* ---- operations, each checked against the model ---- */

static void bed_make(void)
{
    static unsigned slot;
    bed = (struct bed){0};
    /* As heap.c does. */
    bed.heap = os_map(round_up(sizeof(struct page_heap), NH_SYSTEM_PAGE), NH_SYSTEM_PAGE, 0);
    assert_non_null(bed.heap);
    assert_in_range(slot, 0, UINT8_MAX);
    page_heap_init(bed.heap, slot++);
    walk();
}

static int setup(void **state)
{
    (void)state;
    bed_make();
    return 0;
}

/* Writes to the span, so that it is really in use. */
static void use(struct live *live)
{
    memset((void *)live->base, live->fill, live->pages * NH_PAGE);
}

/* A new span, or NULL if there is none; it is live[lives - 1] then. */
static struct live *add(size_t pages, size_t align_pages, bool may_grow)
{
    struct page_heap *heap = bed.heap;
    assert_in_range(bed.lives, 0, LIVE_MOST - 1);
    enum span_state state = bed.lives % 2 == 0 ? SPAN_IN_USE : SPAN_MANUAL;
    /* With this many, there is an aligned place for certain. */
    size_t enough = pages + align_pages - 1;
    size_t resident = shortest_fit(enough, true), clean = shortest_fit(enough, false);
    bool merged = resident == 0 && clean == 0 && longest_free_run() >= enough;
    bool surely = resident != 0 || clean != 0 || merged;
    bool possibly = surely || any_place(pages, align_pages);
    size_t resident_pages = heap->resident.pages, clean_pages = heap->clean.pages;
    size_t mapped = heap->mapped_pages;
    uint64_t grows = heap->grows, allocs = heap->span_allocs;

    errno = UNTOUCHED;
    struct span *span = page_heap_alloc(heap, &(struct span_request){.pages = pages,
                                                                     .align_pages = align_pages,
                                                                     .state = state,
                                                                     .cls = CLASS,
                                                                     .may_grow = may_grow});
    assert_int_equal(errno, UNTOUCHED);
    if (surely || !may_grow)
        assert_int_equal(heap->grows, grows);
    if (surely || may_grow)
        assert_non_null(span);
    if (span == NULL) {
        assert_true(!possibly || !surely);
        assert_int_equal(heap->mapped_pages, mapped);
        assert_int_equal(heap->span_allocs, allocs);
        walk();
        return NULL;
    }
    assert_true(possibly || heap->grows == grows + 1);
    assert_int_equal(heap->span_allocs, allocs + 1);
    assert_int_equal(span->pages, pages);
    assert_int_equal(span->base % (align_pages * NH_PAGE), 0);
    assert_int_equal(span_state(span), state);
    assert_int_equal(span->cls, CLASS);
    assert_int_equal(span->slot, heap->slot);
    assert_int_equal(span->index_magic, 0);
    assert_int_equal(span->bytes, 0);
    assert_int_equal(span->objects, 0);
    assert_int_equal(span->free_objects, 0);
    assert_null(span->next);
    assert_null(span->prev);
    for (size_t page = 0; page < pages; page++) {
        uintptr_t at = span->base + page * NH_PAGE;
        assert_ptr_equal(find(at), span);
        assert_int_equal(span_table_home(at), 0);
    }

    /* Resident pages go first, and of a kind the shortest span that fits; of
     * the long ones the lowest. */
    size_t wanted = resident != 0 ? resident : clean;
    if (wanted != 0) {
        assert_int_equal(span->needzero, resident != 0);
        assert_int_equal(heap->resident.pages, resident_pages - (resident != 0 ? pages : 0));
        assert_int_equal(heap->clean.pages, clean_pages - (resident != 0 ? 0 : pages));
        const struct run *from = NULL;
        for (size_t i = 0; i < bed.runs; i++) {
            const struct run *run = &bed.run[i];
            if (!run->free || run->needzero != span->needzero || run->pages != wanted)
                continue;
            bool in = span->base >= run->base && span->base < run->base + run->pages * NH_PAGE;
            if (wanted >= NH_LISTED_PAGES && from == NULL)
                assert_true(in);
            if (in)
                from = run;
            else if (from == NULL)
                continue;
        }
        assert_non_null(from);
    }

    if (!span->needzero)
        assert_true(all_bytes_are(span->base, pages, 0));
    /* As a list of objects would leave it. */
    span->index_magic = 1;
    span->bytes = 16;
    span->objects = span->free_objects = 512;
    struct live *live = &bed.live[bed.lives++];
    *live =
        (struct live){span, span->base, pages, state, (unsigned char)(1 + heap->span_allocs % 255)};
    use(live);
    walk();
    return live;
}

/* Frees live[i]. */
static void drop(size_t i, bool zeroed)
{
    struct page_heap *heap = bed.heap;
    struct live live = bed.live[i];
    assert_true(all_bytes_are(live.base, live.pages, live.fill));
    bed.live[i] = bed.live[--bed.lives];
    if (zeroed)
        assert_true(os_release((void *)live.base, live.pages * NH_PAGE));
    size_t resident = heap->resident.pages, clean = heap->clean.pages;
    uint64_t frees = heap->span_frees;
    errno = UNTOUCHED;
    page_heap_free(heap, live.span, zeroed);
    assert_int_equal(errno, UNTOUCHED);
    assert_int_equal(heap->span_frees, frees + 1);
    assert_int_equal(heap->resident.pages, resident + (zeroed ? 0 : live.pages));
    assert_int_equal(heap->clean.pages, clean + (zeroed ? live.pages : 0));
    walk();
}

static void drop_span(const struct span *span, bool zeroed)
{
    for (size_t i = 0; i < bed.lives; i++)
        if (bed.live[i].span == span) {
            drop(i, zeroed);
            return;
        }
    fail();
}

static void drop_all(void)
{
    while (bed.lives > 0)
        drop(bed.lives - 1, false);
}

static bool extend(struct live *live, size_t pages)
{
    struct page_heap *heap = bed.heap;
    uintptr_t end = live->base + live->pages * NH_PAGE;
    bool fits = free_run_at(end) >= pages;
    uint64_t grows = heap->grows;
    bool done = page_heap_extend(heap, live->span, pages);
    assert_int_equal(done, fits);
    assert_int_equal(heap->grows, grows);
    if (done) {
        live->pages += pages;
        use(live);
        for (uintptr_t at = live->base; at < end + pages * NH_PAGE; at += NH_PAGE)
            assert_ptr_equal(find(at), live->span);
    }
    walk();
    return done;
}

static void shrink(struct live *live, size_t pages)
{
    struct page_heap *heap = bed.heap;
    size_t freed = live->pages - pages, resident = heap->resident.pages;
    page_heap_shrink(heap, live->span, pages);
    live->pages = pages;
    assert_int_equal(heap->resident.pages, resident + freed);
    assert_true(all_bytes_are(live->base, pages, live->fill));
    walk();
}

/* Releases down to `keep`: the oldest spans, and no more than is needed (of a
 * long span perhaps a part). */
static void release(size_t keep)
{
    static struct run expected[RUNS_MOST];
    struct page_heap *heap = bed.heap;
    size_t count = 0, pages = 0, resident = heap->resident.pages;
    uint64_t scavenges = heap->scavenges;
    for (struct span *span = heap->oldest; span != NULL && resident - pages > keep;
         span = span->idle.younger) {
        expected[count++] = (struct run){.base = span->base, .pages = span->pages};
        pages += span->pages;
    }
    size_t released = page_heap_release(heap, keep);
    assert_true(heap->resident.pages <= keep || released == resident);
    assert_true(released <= pages);
    assert_int_equal(heap->resident.pages, resident - released);
    assert_int_equal(heap->scavenges, scavenges + (released != 0));
    for (size_t i = 0; i < count && released >= expected[i].pages; i++) {
        assert_true(all_bytes_are(expected[i].base, expected[i].pages, 0));
        released -= expected[i].pages;
    }
    walk();
}

/* ---- tests ---- */

/* Spans next to each other, from the start of what is now free on; `count` of
 * `pages` each, live[] in order of address. */
static void add_row(size_t count, size_t pages)
{
    assert_int_equal(bed.lives, 0);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(add(pages, 1, true));
        if (i > 0)
            assert_int_equal(bed.live[i].base, bed.live[i - 1].base + pages * NH_PAGE);
    }
}

/* Takes all the free pages that there are, as one span a run, so that nothing
 * but what is freed next is free. */
static void fill_up(void)
{
    size_t pages;
    while ((pages = longest_free_run()) > 0)
        assert_non_null(add(pages, 1, false));
    assert_int_equal(page_heap_free_pages(bed.heap), 0);
}

static void first_span(void **state)
{
    (void)state;
    assert_null(add(1, 1, false));
    assert_int_equal(page_heap_mapped(bed.heap), 0);
    struct live *live = add(1, 1, true);
    assert_false(live->span->needzero);
    assert_int_equal(page_heap_mapped(bed.heap), NH_HUGE);
    assert_int_equal(bed.region[0].base % NH_HUGE, 0);
    assert_int_equal(page_heap_free_pages(bed.heap), NH_HUGE_PAGES - 1);
    drop(0, false);
    live = add(1, 1, true);
    assert_true(live->span->needzero);
}

static void both_neighbours_coalesce(void **state)
{
    (void)state;
    static const unsigned orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                          {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (unsigned zeroed = 0; zeroed < 2; zeroed++)
        for (unsigned order = 0; order < 6; order++) {
            bed_make();
            add_row(3, 50);
            fill_up();
            uintptr_t base = bed.live[0].base;
            struct span *spans[3] = {bed.live[0].span, bed.live[1].span, bed.live[2].span};
            for (unsigned i = 0; i < 3; i++)
                drop_span(spans[orders[order][i]], zeroed != 0);
            assert_int_equal(shortest_fit(1, zeroed == 0), 150);
            assert_int_equal(add(150, 1, false)->base, base);
        }
}

static void all_in_one_piece_again(void **state)
{
    (void)state;
    add_row(NH_HUGE_PAGES / 4, 4);
    assert_int_equal(page_heap_free_pages(bed.heap), 0);
    uintptr_t base = bed.live[0].base;
    for (unsigned odd = 0; odd < 2; odd++)
        for (size_t i = bed.lives; i-- > 0;)
            if (bed.live[i].base / NH_PAGE / 4 % 2 == odd)
                drop(i, false);
    assert_int_equal(bed.lives, 0);
    assert_int_equal(add(NH_HUGE_PAGES, 1, false)->base, base);
}

static void lengths_without_room(void **state)
{
    (void)state;
    add(1, 1, true);
    static const size_t absurd[] = {SIZE_MAX, SIZE_MAX >> 1, SIZE_MAX >> NH_PAGE_SHIFT,
                                    (SIZE_MAX >> NH_PAGE_SHIFT) / 2,
                                    (size_t)1 << (NH_ADDRESS_BITS - NH_PAGE_SHIFT)};
    for (size_t i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++)
        for (size_t align_pages = 1; align_pages <= NH_HUGE_PAGES; align_pages *= 4) {
            struct span_request want = {absurd[i], align_pages, SPAN_MANUAL, CLASS,
                                        .may_grow = true};
            errno = UNTOUCHED;
            assert_null(page_heap_alloc(bed.heap, &want));
            assert_int_equal(errno, UNTOUCHED);
            walk();
        }
}

static void kinds_stay_apart(void **state)
{
    (void)state;
    add_row(2, 60);
    drop(1, false); /* resident, with the clean rest after it */
    assert_int_equal(shortest_fit(1, true), 60);
    assert_int_equal(shortest_fit(1, false), NH_HUGE_PAGES - 120);
    drop(0, true); /* clean, before it */
    assert_int_equal(shortest_fit(1, true), 60);
    assert_int_equal(shortest_fit(1, false), 60);
    /* Only a clean one is long enough; the others are left alone. */
    struct live *live = add(NH_HUGE_PAGES - 120, 1, false);
    assert_false(live->span->needzero);
    assert_int_equal(bed.heap->resident.pages, 60);
    /* Resident pages go first, though clean ones would do as well. */
    live = add(50, 1, false);
    assert_true(live->span->needzero);
}

static void kinds_merge_when_nothing_else_fits(void **state)
{
    (void)state;
    add_row(2, 100);
    uintptr_t base = bed.live[0].base;
    drop(1, false);
    assert_null(add(NH_HUGE_PAGES - 99, 1, false));
    struct live *live = add(NH_HUGE_PAGES - 100, 1, false);
    assert_int_equal(live->base, base + 100 * NH_PAGE);
    assert_true(live->span->needzero);
}

/* A chain of both kinds becomes one, whichever of its spans is oldest. */
static void chains_merge(void **state)
{
    (void)state;
    enum { length = 7 };
    for (unsigned order = 0; order < 8; order++) {
        bed_make();
        add_row(length, 10);
        fill_up();
        struct span *spans[length];
        for (unsigned i = 0; i < length; i++)
            spans[i] = bed.live[i].span;
        uintptr_t base = spans[0]->base;
        for (unsigned i = 0; i < length; i++) {
            unsigned k =
                order < 4 ? (i * (order + 1)) % length : (length - i) * (order - 3) % length;
            drop_span(spans[k], k % 2 == (order & 1));
        }
        assert_int_equal(add(10 * length, 1, false)->base, base);
    }
}

/* What lies clean beside a resident span since the last merge, merges too. */
static void kinds_merge_after_a_zeroed_free(void **state)
{
    (void)state;
    add_row(4, 60);
    fill_up();
    struct span *a = bed.live[0].span, *b = bed.live[1].span, *c = bed.live[2].span;
    drop_span(a, false);
    drop_span(b, true);
    assert_non_null(add(110, 1, false)); /* merges; 10 resident pages are left */
    assert_int_equal(bed.heap->resident.pages, 10);
    drop_span(c, true);
    assert_non_null(add(65, 1, false));
}

static void kinds_merge_after_growth(void **state)
{
    (void)state;
    add(100, 1, true);
    add(NH_HUGE_PAGES - 200, 1, true);
    add(100, 1, true);
    const struct span *first = bed.live[0].span, *last = bed.live[2].span;
    drop_span(first, false);
    drop_span(last, false);
    add(150, 1, true); /* a merge that joins nothing; then growth below `first` */
    if (longest_free_run() != 100 + NH_HUGE_PAGES - 150)
        skip(); /* the system, or a sanitizer, put it elsewhere */
    assert_non_null(add(100 + NH_HUGE_PAGES - 150, 1, false));
}

static void clean_means_zero(void **state)
{
    (void)state;
    add_row(20, 12);
    for (size_t i = 0; i < 20; i += 2)
        drop_span(bed.live[i].span, i % 4 == 0);
    drop_all();
    release(0);
    assert_int_equal(shortest_fit(1, true), 0);
    assert_int_equal(shortest_fit(1, false), NH_HUGE_PAGES);
    assert_false(add(NH_HUGE_PAGES, 1, false)->span->needzero); /* whose bytes add() looks at */
}

static void aligned_spans(void **state)
{
    (void)state;
    for (size_t align_pages = 1; align_pages <= 2 * NH_HUGE_PAGES; align_pages *= 2) {
        bed_make();
        for (size_t pages = 1; pages <= 300; pages += pages < 5 ? 1 : 97) {
            add(1, 1, true); /* so that the next begins at an odd place */
            add(pages, align_pages, true);
        }
        drop(1, false);
        drop(2, false);
        add(3, align_pages, true);
        drop_all();
    }
}

static void extend_in_place(void **state)
{
    (void)state;
    add_row(4, 20);
    fill_up();
    struct live *first = &bed.live[0];
    const struct span *next = bed.live[1].span, *third = bed.live[2].span;
    assert_false(extend(first, 1)); /* its neighbour is in use */
    drop_span(next, false);
    assert_false(extend(first, 21));
    assert_true(extend(first, 5));
    assert_true(extend(first, 15)); /* all the rest */
    assert_false(extend(first, 1));
    drop_span(third, true);
    assert_true(extend(first, 1)); /* of the other kind */
    assert_true(extend(first, 19));
    assert_int_equal(first->pages, 60);
}

static void extend_over_both_kinds(void **state)
{
    (void)state;
    for (unsigned clean_first = 0; clean_first < 2; clean_first++) {
        bed_make();
        add_row(4, 20);
        fill_up();
        struct live *first = &bed.live[0];
        const struct span *second = bed.live[1].span, *third = bed.live[2].span;
        drop_span(second, clean_first != 0);
        drop_span(third, clean_first == 0);
        assert_false(extend(first, 41));
        assert_true(extend(first, 35));
        assert_true(extend(first, 5));
    }
}

/* Three spans of alternating kinds, all free, and room in all of them only. */
static void extend_over_a_chain(void **state)
{
    (void)state;
    for (unsigned clean_first = 0; clean_first < 2; clean_first++) {
        bed_make();
        add_row(5, 20);
        fill_up();
        struct live *first = &bed.live[0];
        struct span *spans[3] = {bed.live[1].span, bed.live[2].span, bed.live[3].span};
        for (unsigned i = 0; i < 3; i++)
            drop_span(spans[i], i % 2 != clean_first);
        assert_false(extend(first, 61));
        assert_true(extend(first, 60));
    }
}

static void extend_at_the_end_of_memory(void **state)
{
    (void)state;
    add_row(2, NH_HUGE_PAGES / 2);
    assert_false(extend(&bed.live[1], 1));
    assert_false(extend(&bed.live[0], 1));
}

static void shrink_in_place(void **state)
{
    (void)state;
    add_row(2, 40);
    fill_up();
    struct live *first = &bed.live[0];
    const struct span *second = bed.live[1].span;
    shrink(first, 39);
    assert_int_equal(shortest_fit(1, true), 1);
    shrink(first, 10); /* what is cut off joins what was */
    assert_int_equal(shortest_fit(1, true), 30);
    drop_span(second, false);
    assert_int_equal(shortest_fit(1, true), 70);
    shrink(first, 1);
    assert_int_equal(shortest_fit(1, true), 79);
    /* What is cut off may hold old data. */
    assert_true(add(79, 1, false)->span->needzero);
}

/* Where the system's page is larger than the heap's, what goes to the system and comes
 * from it is another number of pages: unit_system_page.c. */
static void only_with_small_system_pages(void)
{
    if (os_page() > NH_PAGE)
        skip();
}

static void release_keeps_what_it_shall(void **state)
{
    (void)state;
    only_with_small_system_pages();
    /* Ten spans of 10 to 19 pages, apart from each other. */
    struct span *spans[10];
    for (size_t i = 0; i < 10; i++) {
        spans[i] = add(10 + i, 1, true)->span;
        add(1, 1, true);
    }
    release(0); /* nothing is resident and free */
    for (size_t i = 0; i < 10; i++)
        drop_span(spans[i * 3 % 10], false);
    assert_int_equal(bed.heap->resident.pages, 145);
    release(145);
    assert_int_equal(bed.heap->resident.pages, 145);
    release(144); /* the oldest goes whole */
    assert_int_equal(bed.heap->resident.pages, 135);
    release(60);
    release(0);
    assert_int_equal(bed.heap->resident.pages, 0);
    assert_int_equal(bed.heap->scavenges, 3);
}

/* More spans than are given back at a time. */
static void release_many(void **state)
{
    (void)state;
    only_with_small_system_pages();
    add_row(150, 1);
    struct span *spans[75];
    for (size_t i = 0; i < 75; i++)
        spans[i] = bed.live[2 * i].span;
    for (size_t i = 0; i < 75; i++)
        drop_span(spans[i], false);
    release(30);
    assert_int_equal(bed.heap->resident.pages, 30);
    release(0);
}

/* By the system call: sanitizers make mlock do nothing. */
static void locked_memory_stays_resident(void **state)
{
    (void)state;
    add_row(3, 4);
    void *locked = (void *)(bed.live[0].base + NH_PAGE);
    if (syscall(SYS_mlock, locked, NH_SYSTEM_PAGE) != 0)
        skip();
    struct span *first = bed.live[0].span, *third = bed.live[2].span;
    drop_span(first, false);
    drop_span(third, false);
    size_t released = page_heap_release(bed.heap, 0);
    walk();
    assert_int_equal(released, 4);
    assert_int_equal(bed.heap->resident.pages, 4);
    assert_int_equal(shortest_fit(1, true), 4);
    assert_int_equal(syscall(SYS_munlock, locked, NH_SYSTEM_PAGE), 0);
    release(0);
}

static void set_age(struct span *span, uint64_t ms)
{
    span->idle.unused_since_ms = NOW_MS - ms;
}

static void decay(void)
{
    page_heap_decay(bed.heap);
    walk();
}

/* Free spans of these lengths, none beside another. */
static void add_free_apart(const size_t lengths[], unsigned count, struct span *spans[])
{
    for (unsigned i = 0; i < count; i++) {
        spans[i] = add(lengths[i], 1, true)->span;
        add(1, 1, true);
    }
    for (unsigned i = 0; i < count; i++)
        drop_span(spans[i], false);
}

/* Once the last look is long ago. */
static void decay_when_due(void)
{
    bed.heap->swept_ms = NOW_MS - DECAY_MS / 4;
    decay();
}

static void decay_by_age(void **state)
{
    (void)state;
    only_with_small_system_pages();
    bed.heap->may_be_huge = true;
    /* Two of a huge page and more, two shorter, none beside another. */
    static const size_t lengths[4] = {NH_HUGE_PAGES, 30, NH_HUGE_PAGES + 5, 40};
    struct span *spans[4];
    add_free_apart(lengths, 4, spans);
    size_t all = bed.heap->resident.pages;
    assert_int_equal(all, 2 * NH_HUGE_PAGES + 75);

    /* It looks a few times in the decay time only. */
    set_age(spans[0], DECAY_MS + 1000);
    bed.heap->swept_ms = NOW_MS;
    decay();
    assert_int_equal(bed.heap->resident.pages, all);
    decay_when_due();
    assert_int_equal(bed.heap->resident.pages, all - lengths[0]);
    assert_int_equal(bed.heap->swept_ms, NOW_MS);

    /* What is no whole huge page waits twice as long; older spans do not hold up younger. */
    set_age(spans[1], DECAY_MS + 1000);
    set_age(spans[2], DECAY_MS + 1000);
    assert_int_equal(spans[2]->base % NH_HUGE, 0);
    decay_when_due();
    assert_int_equal(bed.heap->resident.pages, lengths[1] + 5 + lengths[3]);
    assert_int_equal(shortest_fit(1, true), 5);
    set_age(spans[1], 2 * DECAY_MS + 1000);
    decay_when_due();
    assert_int_equal(bed.heap->resident.pages, 5 + lengths[3]);
    for (struct span *span = bed.heap->oldest; span != NULL; span = span->idle.younger)
        if (span->pages == 5)
            set_age(span, 2 * DECAY_MS + 1000);
    decay_when_due();
    assert_int_equal(bed.heap->resident.pages, lengths[3]);
    /* page_heap_free looks as well. */
    set_age(spans[3], 2 * DECAY_MS + 1000);
    bed.heap->swept_ms = NOW_MS - DECAY_MS / 4;
    struct live last = bed.live[--bed.lives];
    page_heap_free(bed.heap, last.span, false);
    walk();
    assert_int_equal(bed.heap->clean.pages + 1 + bed.lives, bed.mapped);
}

static struct span *take_raw(size_t pages)
{
    const struct span_request want = {
        .pages = pages, .align_pages = 1, .state = SPAN_IN_USE, .may_grow = true};
    struct span *span = page_heap_alloc(bed.heap, &want);
    assert_non_null(span);
    return span;
}

static void random_step(size_t mapped_most);

static size_t huge_pages_in(const struct span *span)
{
    uintptr_t begin = round_up(span->base, NH_HUGE), end = round_down(span_end(span), NH_HUGE);
    return end > begin ? (end - begin) >> NH_HUGE_SHIFT : 0;
}

static void age_all(uint64_t ms)
{
    for (struct span *span = bed.heap->oldest; span != NULL; span = span->idle.younger)
        set_age(span, ms);
}

/* What goes of all that is due with one call, `ms` after the last one that gave some back. */
static size_t decay_after(uint64_t ms)
{
    size_t had = bed.heap->resident.pages;
    bed.heap->swept_ms = NOW_MS - ms;
    page_heap_decay(bed.heap);
    return had - bed.heap->resident.pages;
}

/* All that is due when one look begins, call by call. */
static void decay_through(void)
{
    (void)decay_after(DECAY_MS / 4);
    while (page_heap_more_is_due(bed.heap))
        (void)decay_after(NH_PIECE_MS);
}

/* As many pages as go with one call, and a number of times that which go where nobody called for
 * long. */
#define PIECE_PAGES (4 * NH_HUGE_PAGES)
#define PIECE_TIMES 4

/* A peak's memory is due at once.  Nobody has to give all of it back. */
static void much_goes_in_pieces(void **state)
{
    enum { LARGE = 12, LARGE_PAGES = PIECE_PAGES + 7 };
    struct span *large[LARGE];
    (void)state;
    only_with_small_system_pages();
    for (size_t i = 0; i < LARGE; i++) {
        large[i] = take_raw(LARGE_PAGES);
        (void)take_raw(1);
    }
    for (size_t i = 0; i < LARGE; i++)
        page_heap_free(bed.heap, large[i], false);
    bed.heap->may_be_huge = false; /* if it is, broken ones wait */
    age_all(DECAY_MS + 1000);

    /* However long nobody has looked. */
    assert_int_equal(decay_after(DECAY_MS / 4), PIECE_PAGES);
    assert_true(page_heap_more_is_due(bed.heap));
    assert_int_equal(decay_after(0), 0);
    assert_int_equal(decay_after(NH_PIECE_MS), PIECE_PAGES);
    assert_in_range(decay_after((PIECE_TIMES - 1) * NH_PIECE_MS), PIECE_PAGES + 1,
                    (PIECE_TIMES - 1) * PIECE_PAGES);
    assert_in_range(decay_after(DECAY_MS / 4), PIECE_PAGES + 1, PIECE_TIMES * PIECE_PAGES);
    assert_true(page_heap_more_is_due(bed.heap));

    /* What is freed meanwhile is not due. */
    struct span *young = take_raw(LARGE_PAGES);
    size_t rest = bed.heap->resident.pages;
    bed.heap->swept_ms = NOW_MS;
    page_heap_free(bed.heap, young, false);
    decay_through();
    assert_int_equal(bed.heap->resident.pages, LARGE_PAGES);
    assert_true(rest > PIECE_PAGES);

    /* Asked for, all of it goes at once, and that before its time. */
    assert_int_equal(page_heap_release(bed.heap, 0), LARGE_PAGES);
}

/* ---- Who waits until nothing is on its way comes before the next batch ---- */

static struct {
    struct page_heap *heap; /* of which the next release starts the one who waits; or NULL */
    pthread_t thread;
    unsigned batches;         /* that were begun; under the heap's lock `releasing` */
    unsigned batches_awaited; /* when it was let in */
} awaiting;

static void *await_releases(void *arg)
{
    page_heap_releasing_begin(arg);
    awaiting.batches_awaited = awaiting.batches;
    page_heap_releasing_end(arg);
    return NULL;
}

bool __real_os_release(void *at, size_t bytes);
bool __wrap_os_release(void *at, size_t bytes);
bool __wrap_os_release(void *at, size_t bytes)
{
    struct page_heap *heap = awaiting.heap;
    if (heap != NULL && awaiting.batches++ == 0) {
        assert_int_equal(pthread_create(&awaiting.thread, NULL, await_releases, heap), 0);
        while ((atomic_load(&heap->releasing.word) & LOCK_SLEEPERS) == 0)
            sched_yield();
    }
    return __real_os_release(at, bytes);
}

static void who_waits_comes_between_batches(void **state)
{
    enum { BATCHES = 50 };
    (void)state;
    only_with_small_system_pages();
    struct span *span = take_raw(BATCHES * PIECE_PAGES);
    page_heap_free(bed.heap, span, false);
    awaiting.heap = bed.heap;
    assert_int_equal(page_heap_release(bed.heap, 0), BATCHES * PIECE_PAGES);
    awaiting.heap = NULL;
    assert_int_equal(pthread_join(awaiting.thread, NULL), 0);
    assert_int_equal(awaiting.batches, BATCHES);
    assert_int_equal(awaiting.batches_awaited, 1);
}

/* Short spans cost a system call each. */
static void many_go_in_pieces(void **state)
{
    enum { SMALL = 3000 };
    static struct span *small[SMALL];
    (void)state;
    only_with_small_system_pages();
    for (size_t i = 0; i < SMALL; i++) {
        small[i] = take_raw(1);
        (void)take_raw(1);
    }
    for (size_t i = 0; i < SMALL; i++)
        page_heap_free(bed.heap, small[i], false);
    bed.heap->may_be_huge = false; /* if it is, broken ones wait */
    age_all(DECAY_MS + 1000);
    assert_in_range(decay_after(DECAY_MS / 4), 1, SMALL / 4);
    decay_through();
    assert_int_equal(bed.heap->resident.pages, 0);
}

/* Between two pieces spans are taken, freed and joined, those at which it goes on as well. */
static void pieces_pass_what_changes(void **state)
{
    enum { TIMES = 300, STEPS = 10, MAPPED_MOST = (32 << 20) / NH_PAGE };
    (void)state;
    only_with_small_system_pages();
    seed[0] = 1;
    for (unsigned i = 0; i < TIMES; i++) {
        struct span *stands = bed.heap->oldest;
        for (size_t further = below(10); stands != NULL && further > 0; further--)
            stands = stands->idle.younger;
        bed.heap->decay.at = stands;
        for (unsigned step = 0; step < STEPS; step++) {
            if (stands != NULL && below(4) == 0 && bed.lives < LIVE_MOST)
                (void)add(stands->pages, 1, false);
            random_step(MAPPED_MOST);
            stands = bed.heap->oldest;
            while (stands != NULL && stands != bed.heap->decay.at)
                stands = stands->idle.younger;
            assert_ptr_equal(stands, bed.heap->decay.at);
        }
    }
}

/* Without a time of decay whoever frees gives back what that made due: nobody comes for the
 * rest. */
static void at_once_is_all_at_once(void **state)
{
    enum { PAGES = 3 * PIECE_PAGES + 7 };
    (void)state;
    only_with_small_system_pages();
    options_set(OPT_DECAY, 0);
    struct span *span = take_raw(PAGES);
    page_heap_free(bed.heap, span, false);
    size_t left = bed.heap->resident.pages;
    bool more = page_heap_more_is_due(bed.heap);
    options_set(OPT_DECAY, (long)DECAY_MS);
    assert_int_equal(left, 0);
    assert_false(more);
}

/* However short the time of decay: it is looked at no more often than the clock goes on. */
static void one_look_a_millisecond(void **state)
{
    (void)state;
    only_with_small_system_pages();
    for (long ms = 1; ms < 2 * NH_DECAY_STEPS; ms++) {
        struct span *span = take_raw(7);
        page_heap_free(bed.heap, span, false);
        assert_int_not_equal(bed.heap->resident.pages, 0);
        set_age(bed.heap->oldest, DECAY_MS);
        options_set(OPT_DECAY, ms);
        atomic_store(&bed.heap->swept_ms, NOW_MS);
        page_heap_decay(bed.heap);
        size_t at_once = bed.heap->resident.pages;
        atomic_store(&bed.heap->swept_ms, NOW_MS - (uint64_t)ms);
        page_heap_decay(bed.heap);
        size_t later = bed.heap->resident.pages;
        options_set(OPT_DECAY, (long)DECAY_MS);
        assert_int_not_equal(at_once, 0);
        assert_int_equal(later, 0);
    }
}

/* Many that wait for longer lie before some that are due, which are more than is given back at
 * once. */
static void a_sweep_passes_what_stays(void **state)
{
    enum { SMALL = 3000, LARGE = 3, LARGE_PAGES = 5 * NH_HUGE_PAGES + 7 };
    static struct span *small[SMALL], *between[SMALL], *large[LARGE], *apart[LARGE];
    (void)state;
    only_with_small_system_pages();
    bed.heap->may_be_huge = true;
    for (size_t i = 0; i < SMALL; i++) {
        small[i] = take_raw(1);
        between[i] = take_raw(1);
    }
    for (size_t i = 0; i < LARGE; i++) {
        large[i] = take_raw(LARGE_PAGES);
        apart[i] = take_raw(1);
    }
    for (size_t i = 0; i < SMALL; i++)
        page_heap_free(bed.heap, small[i], false);
    for (size_t i = 0; i < LARGE; i++)
        page_heap_free(bed.heap, large[i], false);
    age_all(DECAY_MS + 1000);
    decay_through();
    assert_true(bed.heap->resident.pages >= SMALL);
    for (struct span *span = bed.heap->oldest; span != NULL; span = span->idle.younger) {
        assert_int_equal(huge_pages_in(span), 0);
        set_age(span, 2 * DECAY_MS + 1000);
    }
    decay_through();
    assert_int_equal(bed.heap->resident.pages, 0);
    assert_ptr_equal(bed.heap->sweeps, &bed.heap->decay);
    assert_null(bed.heap->decay.next);
    for (size_t i = 0; i < SMALL; i++)
        page_heap_free(bed.heap, between[i], false);
    for (size_t i = 0; i < LARGE; i++)
        page_heap_free(bed.heap, apart[i], false);
}

/* Before a span of which huge pages are due, but nothing less, lies an older one of odd length:
 * what fits beside that in a batch is no number of huge pages. */
static void a_sweep_breaks_no_huge_page(void **state)
{
    enum { ODD = 900, WHOLE = 10 * NH_HUGE_PAGES + 1 };
    (void)state;
    only_with_small_system_pages();
    bed.heap->may_be_huge = true;
    struct span *odd = take_raw(ODD);
    struct span *whole = take_raw(WHOLE); /* has clean pages behind it */
    assert_int_not_equal(span_end(whole), odd->base);
    size_t huge = huge_pages_in(whole) * NH_HUGE_PAGES;
    page_heap_free(bed.heap, odd, false);
    page_heap_free(bed.heap, whole, false);
    set_age(odd, 2 * DECAY_MS + 1000);
    set_age(whole, DECAY_MS + 1000);
    decay_through();
    assert_int_equal(bed.heap->resident.pages, WHOLE - huge);
    for (struct span *span = bed.heap->oldest; span != NULL; span = span->idle.younger)
        assert_int_equal(huge_pages_in(span), 0);
}

/* Where there are no huge pages to break, as in a heap's first mapping, nothing waits
 * longer. */
static void decay_without_huge_pages(void **state)
{
    (void)state;
    only_with_small_system_pages();
    static const size_t lengths[2] = {30, 40};
    struct span *spans[2];
    add_free_apart(lengths, 2, spans);
    assert_false(bed.heap->may_be_huge);
    set_age(spans[0], DECAY_MS + 1000);
    decay_when_due();
    assert_int_equal(bed.heap->resident.pages, lengths[1]);
}

/* A look at the clock; what was freed before the last one and since decides what is much. */
static bool much_after_a_look(void)
{
    decay_when_due();
    return page_heap_has_much(bed.heap);
}

static void little_is_much_where_few_are_freed(void **state)
{
    (void)state;
    struct span *some = add(NH_WATCH_PAGES_FEW - 1, 1, true)->span;
    struct span *one = add(1, 1, true)->span;
    drop_span(some, false);
    (void)much_after_a_look();
    assert_false(much_after_a_look()); /* a page is missing */
    drop_span(one, false);
    assert_true(page_heap_has_much(bed.heap));
    /* Many are freed: the same is little. */
    for (unsigned i = 0; i < 100; i++)
        drop_span(add(1, 1, false)->span, false);
    assert_false(much_after_a_look());
    assert_true(much_after_a_look());
    /* Where they are many, more is much. */
    for (unsigned i = 0; i < 100; i++)
        drop_span(add(1, 1, false)->span, false);
    assert_false(much_after_a_look());
    struct span *more = add(NH_WATCH_PAGES, 1, true)->span;
    assert_false(page_heap_has_much(bed.heap));
    drop_span(more, false);
    assert_true(page_heap_has_much(bed.heap));
}

/* Pages that come and go at the edge of a large free span do not make it
 * young again; and both parts of one that is cut keep its age. */
static void age_of_the_larger_part(void **state)
{
    (void)state;
    add_row(2, 100);
    fill_up();
    const struct span *large = bed.live[1].span;
    shrink(&bed.live[0], 10);
    drop_span(large, false);
    struct span *idle = bed.heap->oldest;
    assert_ptr_equal(idle, bed.heap->youngest);
    assert_int_equal(idle->pages, 190);
    set_age(idle, 5000);
    uint64_t since = idle->idle.unused_since_ms;
    for (unsigned i = 0; i < 5; i++) {
        add(5, 1, false);
        drop(bed.lives - 1, false);
        assert_int_equal(bed.heap->oldest->pages, 190);
        assert_int_equal(bed.heap->oldest->idle.unused_since_ms, since);
    }
    const struct span *piece = add(8, 64, false)->span;
    assert_ptr_not_equal(bed.heap->oldest, bed.heap->youngest);
    assert_int_equal(bed.heap->oldest->idle.unused_since_ms, since);
    assert_int_equal(bed.heap->youngest->idle.unused_since_ms, since);
    /* A large part that is freed is young, and makes the few pages beside it so. */
    drop_span(piece, false);
    assert_ptr_equal(bed.heap->oldest, bed.heap->youngest);
    assert_int_equal(bed.heap->oldest->idle.unused_since_ms, since);
    add(180, 1, false);
    set_age(bed.heap->oldest, 5000);
    drop(bed.lives - 1, false);
    assert_int_equal(bed.heap->oldest->pages, 190);
    assert_int_equal(bed.heap->oldest->idle.unused_since_ms, NOW_MS);
}

static void growth_is_by_huge_pages_and_geometric(void **state)
{
    (void)state;
    struct page_heap *heap = bed.heap;
    struct span_request want = {128, 1, SPAN_MANUAL, CLASS, .may_grow = true};
    size_t taken = 0;
    while (taken < ((size_t)2 << 30) / NH_PAGE) {
        size_t before = heap->mapped_pages;
        assert_non_null(page_heap_alloc(heap, &want)); /* never touched */
        taken += want.pages;
        size_t grown = (heap->mapped_pages - before) * NH_PAGE;
        assert_int_equal(grown % NH_HUGE, 0);
        assert_in_range(grown, 0, NH_GROW_MAX);
        if (grown != 0)
            assert_true(grown <= NH_HUGE || (grown - NH_HUGE) * 8 <= before * NH_PAGE);
        assert_int_equal(heap->grown_at % NH_HUGE, 0);
    }
    /* 8 of 2 MiB, then by an eighth to 512 MiB, then by 64 MiB. */
    assert_in_range(heap->grows, 40, 80);
    assert_true(heap->mapped_pages - taken <= NH_GROW_MAX / NH_PAGE);
    /* More than all before, at once. */
    want.pages = 3 * heap->mapped_pages + 1;
    uint64_t grows = heap->grows;
    assert_non_null(page_heap_alloc(heap, &want));
    assert_int_equal(heap->grows, grows + 1);
}

/* Bytes of address space that this process has. */
static size_t address_space(void)
{
    char text[64] = {0};
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    return strtoul(text, NULL, 10) * os_page();
}

static void system_grants_the_exact_need_only(void **state)
{
    (void)state;
    only_with_small_system_pages();
    struct page_heap *heap = bed.heap;
    add(NH_HUGE_PAGES, 1, true);
    /* The next growth needs descriptors and a leaf; they are there. */
    drop(0, false);
    add_row(NH_HUGE_PAGES / 8, 8);
    assert_true(span_table_cover(heap->grown_at - NH_HUGE, NH_HUGE_PAGES));

    struct rlimit before, limit;
    struct span_request want = {3, 1, SPAN_MANUAL, CLASS, .may_grow = true};
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    limit = before;
    limit.rlim_cur = address_space() + 5 * NH_PAGE;
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    errno = UNTOUCHED;
    struct span *first = page_heap_alloc(heap, &want);
    struct span *refused = page_heap_alloc(heap, &want);
    int error = errno;
    want.pages = 1;
    struct span *last = page_heap_alloc(heap, &want);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(error, UNTOUCHED);
    assert_non_null(first);
    assert_null(refused);
    assert_non_null(last);
    assert_int_equal(heap->mapped_pages, NH_HUGE_PAGES + 4);
    assert_int_equal(heap->grows, 3);
    assert_int_equal(page_heap_free_pages(heap), 0);
    /* And on as before. */
    want.pages = 1;
    assert_non_null(page_heap_alloc(heap, &want));
    assert_int_equal(heap->mapped_pages % NH_HUGE_PAGES, 4);
}

/* ---- random operations ---- */

static size_t random_length(void)
{
    static const size_t most[] = {3, 3, 10, 40, 140, 400};
    return 1 + below(most[below(sizeof(most) / sizeof(most[0]))]);
}

static void random_step(size_t mapped_most)
{
    size_t what = below(100);
    bool grows_mostly = bed.heap->span_allocs / 300 % 2 == 0;
    if (what < (grows_mostly ? 55 : 35)) {
        if (bed.lives < LIVE_MOST)
            add(random_length(), (size_t)1 << (below(3) == 0 ? below(7) : 0),
                bed.mapped < mapped_most && below(4) != 0);
    } else if (bed.lives > 0 && what < 80) {
        drop(below(bed.lives), below(5) == 0);
    } else if (bed.lives > 0 && what < 90) {
        extend(&bed.live[below(bed.lives)], random_length());
    } else if (bed.lives > 0 && what < 98) {
        struct live *live = &bed.live[below(bed.lives)];
        if (live->pages > 1)
            shrink(live, 1 + below(live->pages - 1));
    } else {
        release(below(2) == 0 ? 0 : below(bed.heap->resident.pages + 2));
    }
}

static void random_against_model(void **state)
{
    (void)state;
    only_with_small_system_pages();
    for (unsigned short s = 1; s <= 4; s++) {
        seed[0] = s;
        bed_make();
        for (unsigned step = 0; step < 1500; step++) {
            random_step((size_t)(s * 4 << 20) / NH_PAGE);
            if (step % 50 == 0)
                check_table();
        }
        drop_all();
        release(0);
        /* Region by region, all is one clean span. */
        assert_int_equal(bed.heap->clean.pages, bed.mapped);
    }
}

/* ---- heaps side by side, threads ---- */

static void heaps_do_not_mix(void **state)
{
    (void)state;
    add_row(2, NH_HUGE_PAGES / 2);
    struct bed lower = bed;
    /* Another heap whose next growth lies right below this one. */
    bed_make();
    bed.heap->grown_at = lower.heap->grown_at;
    add_row(2, NH_HUGE_PAGES / 2);
    if (bed.heap->grown_at != lower.heap->grown_at - NH_HUGE)
        skip(); /* the system, or a sanitizer, put it elsewhere */
    drop_all();
    assert_int_equal(shortest_fit(1, true), NH_HUGE_PAGES);
    struct bed upper = lower;
    lower = bed;
    bed = upper;
    assert_false(extend(&bed.live[1], 1));
    drop_all();
    assert_int_equal(shortest_fit(1, true), NH_HUGE_PAGES);
    bed = lower;
    walk();
    assert_false(extend(add(NH_HUGE_PAGES, 1, false), 1));
}

#define THREADS 3
#define ROUNDS  2000
#define HELD    12

struct worker {
    pthread_t thread;
    struct page_heap *heap;
    unsigned short number;
    unsigned wrong;
    struct span *held[HELD];
};

static void worker_frees(struct worker *worker, struct span **at)
{
    struct span *span = *at;
    *at = NULL;
    if (!all_bytes_are(span->base, span->pages, (unsigned char)(worker->number + 1)) ||
        span_table_hint(span_end(span) - 1) != span)
        worker->wrong++;
    page_heap_free(worker->heap, span, false);
}

static void *works(void *arg)
{
    struct worker *worker = arg;
    unsigned short own_seed[3] = {worker->number, 0, 0};
    for (unsigned i = 0; i < ROUNDS; i++) {
        size_t dice = (size_t)nrand48(own_seed);
        struct span **at = &worker->held[dice % HELD];
        if (dice / 1024 % 100 == 0)
            page_heap_release(worker->heap, 0);
        if (*at != NULL && dice / 128 % 4 == 0 && (*at)->pages > 1) {
            page_heap_shrink(worker->heap, *at, 1);
        } else if (*at != NULL && dice / 128 % 4 == 1) {
            size_t had = (*at)->pages;
            if (page_heap_extend(worker->heap, *at, 2))
                memset((void *)((*at)->base + had * NH_PAGE), worker->number + 1, 2 * NH_PAGE);
        } else if (*at != NULL) {
            worker_frees(worker, at);
        } else {
            struct span_request want = {1 + dice / 128 % 9, (size_t)1 << dice / 2048 % 3,
                                        SPAN_MANUAL, CLASS, .may_grow = true};
            struct span *span = page_heap_alloc(worker->heap, &want);
            if (span == NULL || span->pages != want.pages ||
                (!span->needzero && !all_bytes_are(span->base, span->pages, 0))) {
                worker->wrong++;
                break;
            }
            memset((void *)span->base, worker->number + 1, span->pages * NH_PAGE);
            *at = span;
        }
    }
    for (unsigned i = 0; i < HELD; i++)
        if (worker->held[i] != NULL)
            worker_frees(worker, &worker->held[i]);
    return NULL;
}

/* Two of them on one heap, the third on its neighbour in memory. */
static void threads_on_neighbouring_heaps(void **state)
{
    (void)state;
    static struct worker workers[THREADS];
    struct page_heap *shared = bed.heap;
    add(1, 1, true);
    drop(0, false);
    bed_make();
    bed.heap->grown_at = shared->grown_at;
    for (unsigned short i = 0; i < THREADS; i++) {
        workers[i].number = i;
        workers[i].heap = i < 2 ? shared : bed.heap;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, works, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].wrong, 0);
    }
    assert_int_equal(page_heap_free_pages(shared) * NH_PAGE, page_heap_mapped(shared));
    assert_int_equal(page_heap_free_pages(bed.heap) * NH_PAGE, page_heap_mapped(bed.heap));
}

int main(void)
{
    setenv("NEARHEAP_DECAY", DECAY_TEXT, 1);
    options_load();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(first_span, setup),
        cmocka_unit_test(both_neighbours_coalesce),
        cmocka_unit_test_setup(all_in_one_piece_again, setup),
        cmocka_unit_test_setup(lengths_without_room, setup),
        cmocka_unit_test_setup(kinds_stay_apart, setup),
        cmocka_unit_test_setup(kinds_merge_when_nothing_else_fits, setup),
        cmocka_unit_test(chains_merge),
        cmocka_unit_test_setup(kinds_merge_after_a_zeroed_free, setup),
        cmocka_unit_test_setup(kinds_merge_after_growth, setup),
        cmocka_unit_test_setup(clean_means_zero, setup),
        cmocka_unit_test(aligned_spans),
        cmocka_unit_test_setup(extend_in_place, setup),
        cmocka_unit_test(extend_over_both_kinds),
        cmocka_unit_test(extend_over_a_chain),
        cmocka_unit_test_setup(extend_at_the_end_of_memory, setup),
        cmocka_unit_test_setup(shrink_in_place, setup),
        cmocka_unit_test_setup(release_keeps_what_it_shall, setup),
        cmocka_unit_test_setup(release_many, setup),
        cmocka_unit_test_setup(locked_memory_stays_resident, setup),
        cmocka_unit_test_setup(decay_by_age, setup),
        cmocka_unit_test_setup(a_sweep_breaks_no_huge_page, setup),
        cmocka_unit_test_setup(decay_without_huge_pages, setup),
        cmocka_unit_test_setup(a_sweep_passes_what_stays, setup),
        cmocka_unit_test_setup(much_goes_in_pieces, setup),
        cmocka_unit_test_setup(many_go_in_pieces, setup),
        cmocka_unit_test_setup(who_waits_comes_between_batches, setup),
        cmocka_unit_test_setup(pieces_pass_what_changes, setup),
        cmocka_unit_test_setup(at_once_is_all_at_once, setup),
        cmocka_unit_test_setup(one_look_a_millisecond, setup),
        cmocka_unit_test_setup(little_is_much_where_few_are_freed, setup),
        cmocka_unit_test_setup(age_of_the_larger_part, setup),
        cmocka_unit_test_setup(growth_is_by_huge_pages_and_geometric, setup),
        cmocka_unit_test_setup(system_grants_the_exact_need_only, setup),
        cmocka_unit_test(random_against_model),
        cmocka_unit_test_setup(heaps_do_not_mix, setup),
        cmocka_unit_test_setup(threads_on_neighbouring_heaps, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
