/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * treap.c - long free spans: into the treap, out of it, and the best fit.
 *
 * A large treap does not only have longer ways down than a small one, it also
 * fits no cache of the processor.  To see how the ways grow, there are always as
 * many spans: in one large treap, or in many small ones of which each operation
 * takes any.  What a heap has is a treap alone: these rows show both effects.
 *
 * The spans' addresses are made up.
 */
#include "parts.h"

#include "treap.h"

#include <stdlib.h>
#include <string.h>

#define SPANS  ((size_t)1 << 20)
#define LEAST  ((size_t)1 << 10)
#define TREAPS (SPANS / LEAST)
/* Spans of each length. */
#define EQUALS 4

/* A search is expected to pass 2 ln n = 1.39 lg n spans; more than this many
 * lg n, and the treap has become a list. */
#define DEPTH_MOST 3
/* Searches that a depth is the mean of. */
#define DEPTH_SAMPLE 1000

/* Span i of treap t is number t * each + i; they are kept from run to run until
 * others are wanted. */
static struct {
    struct span *span; /* scattered by number: in a process they are in no order either */
    size_t count;      /* spans of all treaps */
    size_t each;       /* spans of a treap */
    struct treap treap[TREAPS];
} grove;

static struct span *span_of(size_t number)
{
    return &grove.span[parts_scatter(number, grove.count)];
}

static struct treap *treap_of(size_t number)
{
    return &grove.treap[number >> __builtin_ctzll(grove.each)];
}

static size_t length_of(size_t number)
{
    return NH_LISTED_PAGES + (number & (grove.each - 1)) / EQUALS;
}

/* Spans that a search passes on its way down the first treap, on average, while
 * that has its first `count` spans. */
static double mean_depth(size_t count)
{
    uint64_t random = 1;
    size_t passed = 0;
    for (size_t i = 0; i < DEPTH_SAMPLE; i++) {
        size_t pages = length_of(random_next(&random) & (count - 1));
        for (const struct span *at = grove.treap[0].root; at != NULL; passed++)
            at = at->pages >= pages ? at->idle.left : at->idle.right;
    }
    return (double)passed / DEPTH_SAMPLE;
}

static bool is_shallow(size_t count)
{
    return mean_depth(count) <= DEPTH_MOST * __builtin_ctzll(count);
}

static size_t spans_below(const struct span *at)
{
    return at == NULL ? 0 : 1 + spans_below(at->idle.left) + spans_below(at->idle.right);
}

/* Makes treaps of `each` spans, which are `count` in all; false, and skipped, if it
 * cannot. */
static bool plant(struct bench_state *state, size_t count, size_t each)
{
    if (grove.count == count && grove.each == each)
        return true;
    if (grove.span == NULL)
        grove.span = aligned_alloc(NH_CACHE_LINE, SPANS * sizeof(struct span));
    if (grove.span == NULL) {
        bench_skip(state, "no memory for the spans");
        return false;
    }
    memset(grove.span, 0, count * sizeof(struct span));
    grove.count = count;
    grove.each = each;
    uintptr_t base = 0;
    for (size_t number = 0; number < count; number++) {
        struct treap *treap = treap_of(number);
        if (number % each == 0)
            *treap = (struct treap){.random = number};
        struct span *span = span_of(number);
        span->pages = length_of(number);
        span->base = base;
        base = span_end(span);
        treap_insert(treap, span);
        /* At once when there are few: a list would grow for hours. */
        if ((number + 1 == LEAST || number + 1 == each) && !is_shallow(number + 1)) {
            grove.count = 0;
            bench_skip(state, "the treap is as deep as a list");
            return false;
        }
    }
    return true;
}

static void report(struct bench_state *state)
{
    bench_count(state, "depth", mean_depth(grove.each), BENCH_MEAN);
    bench_complexity_n(state, (int64_t)grove.each);
}

/* By spans of the treap: any of them out of it and in again. */
static void remove_insert(struct bench_state *state, size_t count)
{
    if (!plant(state, count, (size_t)bench_range(state, 0)))
        return;
    uint64_t random = 1;
    while (bench_keep_running(state)) {
        size_t number = random_next(&random) & (grove.count - 1);
        struct span *span = span_of(number);
        struct treap *treap = treap_of(number);
        treap_remove(treap, span);
        treap_insert(treap, span);
    }
    bool kept = is_shallow(grove.each);
    for (size_t number = 0; kept && number < grove.count; number += grove.each)
        kept = spans_below(treap_of(number)->root) == grove.each;
    if (!kept)
        bench_skip(state, "spans were lost, or the treap became deep");
    report(state);
}

/* By spans of the treap: the best fit for any length that there is. */
static void best_fit(struct bench_state *state, size_t count)
{
    if (!plant(state, count, (size_t)bench_range(state, 0)))
        return;
    uint64_t random = 1;
    bool exact = true;
    while (bench_keep_running(state)) {
        size_t number = random_next(&random) & (grove.count - 1);
        const struct span *span = treap_best_fit(treap_of(number), length_of(number));
        exact &= span != NULL && span->pages == length_of(number);
    }
    if (!exact)
        bench_skip(state, "not the best fit");
    report(state);
}

static void remove_insert_among_many(struct bench_state *state)
{
    remove_insert(state, SPANS);
}

static void best_fit_among_many(struct bench_state *state)
{
    best_fit(state, SPANS);
}

static void remove_insert_alone(struct bench_state *state)
{
    remove_insert(state, (size_t)bench_range(state, 0));
}

static void best_fit_alone(struct bench_state *state)
{
    best_fit(state, (size_t)bench_range(state, 0));
}

void parts_register_treap(void)
{
    static const struct {
        const char *name;
        bench_fn *fn;
        bool alone;
    } each[] = {{"treap_remove_insert", remove_insert_among_many, false},
                {"treap_best_fit", best_fit_among_many, false},
                {"treap_alone_remove_insert", remove_insert_alone, true},
                {"treap_alone_best_fit", best_fit_alone, true}};
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        struct bench *b = bench_register(each[i].name, each[i].fn);
        bench_arg_range(b, LEAST, SPANS, 4);
        /* The processor's caches have no curve. */
        if (!each[i].alone)
            bench_complexity(b, BENCH_LOG_N);
    }
}
