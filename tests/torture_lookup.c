/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * torture_lookup.c - readers look up and walk without pause while writers allocate,
 * split, coalesce, borrow, release and unmap; every answer is verified.  After the
 * manner of Linux' rcutorture.
 *
 * Three kinds of things are looked at:
 *  - objects on a board.  A reader that has taken a reference on one knows that it is
 *    held: the answer must be exact, and the object that it names bear its stamp.
 *  - spans of a made-up heap, whose every field follows from one number; they come, go
 *    and change at full speed, and the table's leaves with them.
 *  - any address: one of before, of between, of nobody.  The answer must make sense.
 *
 * Built with NH_BREAK_ORDER or NH_BREAK_RETIRE (and then what of the engine these break
 * is compiled in) it must find out, and ends with 0 when it has: --must-fail.
 */
#include "../bench/random.h"
#include "nearheap.h"

#include "span_table.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SKIPPED 77 /* ctest's status for "cannot be tested here" */

#define PLACES        256 /* on the board */
#define ETERNAL       64  /* objects that are held all the time */
#define TRASH         1024
#define STAMP         UINT64_C(0x9e3779b97f4a7c15)
#define THREADS       2 /* of readers and of writers each */
#define LOOKUPS_LEAST 1000
#define PROGRESS      10

static _Atomic bool stop;
static bool must_fail;

static _Atomic uint64_t lookups, exact, walks, changing, found_spans, dropped_leaves, allocations;

static _Noreturn void end_found(const char *what, const void *at)
{
    char line[200];
    int n = snprintf(line, sizeof(line), "torture_lookup: %s: %p: %s\n",
                     must_fail ? "found out" : "FAILED", at, what);
    if (n > 0)
        (void)!write(STDERR_FILENO, line, (size_t)n);
    _exit(must_fail ? EXIT_SUCCESS : EXIT_FAILURE);
}

#define CHECK(condition, at) ((condition) ? (void)0 : end_found(#condition, at))

/* Of a reader's own state, never 0. */
static uint64_t seed_of(const void *arg)
{
    return ((uintptr_t)arg + 1) * STAMP;
}

static void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static struct nh_object look(const void *at)
{
    struct nh_object out = {.struct_size = sizeof(out)};
    CHECK(nh_lookup(at, &out) == 0, at);
    count(&lookups);
    if (out.what == NH_CHANGING)
        count(&changing);
    return out;
}

/* What must be true of any answer. */
static void make_sense(const char *at, const struct nh_object *out)
{
    const char *object = out->object, *span = out->span;
    if (out->what == NH_NOTHING || out->what == NH_CHANGING) {
        CHECK(object == NULL && span == NULL && out->home_node == -1, at);
        return;
    }
    CHECK(out->what > NH_CHANGING && out->what <= NH_REST, at);
    CHECK(span <= at && at < span + out->span_size, at);
    CHECK(out->home_node >= 0 && out->user_node >= 0 && out->generation != 0, at);
    if (out->what == NH_FREE_PAGES || out->what == NH_REST) {
        CHECK(object == NULL && out->size == 0, at);
        return;
    }
    CHECK(span <= object && object <= at && at < object + out->size, at);
    CHECK(object + out->size <= span + out->span_size, at);
}

/* ---- The board ---- */

/* References: readers count up from 0; a writer has it alone at BUSY. */
#define BUSY (-1)
struct place {
    _Atomic int references;
    char *object;
    size_t size;
    bool pages; /* of nh_pages_alloc */
};
static struct place board[PLACES];
static char *eternal[ETERNAL];
static _Atomic uintptr_t trash[TRASH]; /* addresses of objects that were freed */

static uint64_t stamp_of(const char *object, size_t size)
{
    return ((uintptr_t)object ^ size << 48) * STAMP;
}

static void write_stamp(char *object, size_t size)
{
    uint64_t stamp = stamp_of(object, size);
    memcpy(object, &stamp, sizeof(stamp));
}

static size_t random_size(uint64_t *state)
{
    static const size_t most[] = {64, 512, 1024, 8192, 65536, 200000, 3000000};
    size_t bound = most[random_below(state, sizeof(most) / sizeof(most[0]))];
    return sizeof(uint64_t) + random_below(state, bound);
}

static void let_go(struct place *place, uint64_t *state)
{
    if (place->object == NULL)
        return;
    atomic_store_explicit(&trash[random_below(state, TRASH)], (uintptr_t)place->object,
                          memory_order_relaxed);
    place->pages ? nh_pages_free(place->object) : nh_free(place->object);
    place->object = NULL;
}

static void renew(struct place *place, uint64_t *state)
{
    size_t size = random_size(state);
    if (place->object != NULL && !place->pages && random_below(state, 3) == 0) {
        /* In place, by splitting or joining, or elsewhere. */
        char *moved = nh_realloc(place->object, size);
        if (moved != NULL) {
            place->object = moved;
            place->size = size;
        }
        write_stamp(place->object, place->size);
        return;
    }
    let_go(place, state);
    place->pages = random_below(state, 8) == 0;
    place->size = place->pages ? (1 + size / NH_PAGE_BYTES) * NH_PAGE_BYTES : size;
    /* NULL, of a node that is full, is a place without an object. */
    place->object =
        place->pages ? nh_pages_alloc(place->size / NH_PAGE_BYTES, -1) : nh_malloc(place->size);
    if (place->object != NULL)
        write_stamp(place->object, place->size);
    count(&allocations);
}

static void *writes(void *arg)
{
    uint64_t state = seed_of(arg);
    for (size_t i = 0; !atomic_load_explicit(&stop, memory_order_relaxed); i++) {
        struct place *place = &board[random_below(&state, PLACES)];
        int expected = 0;
        if (atomic_compare_exchange_strong_explicit(&place->references, &expected, BUSY,
                                                    memory_order_acquire, memory_order_relaxed)) {
            renew(place, &state);
            atomic_store_explicit(&place->references, 0, memory_order_release);
        }
        if (i % 512 == 0) {
            /* All at once, so that there is something to coalesce, release and unmap. */
            for (size_t j = 0; j < PLACES; j++) {
                expected = 0;
                if (atomic_compare_exchange_strong_explicit(&board[j].references, &expected, BUSY,
                                                            memory_order_acquire,
                                                            memory_order_relaxed)) {
                    let_go(&board[j], &state);
                    atomic_store_explicit(&board[j].references, 0, memory_order_release);
                }
            }
            (void)nh_malloc_trim(0);
        }
    }
    return NULL;
}

/* The object of a place is held. */
static void verify_held(const struct place *place, uint64_t *state)
{
    const char *at = place->object + random_below(state, place->size);
    struct nh_object out = look(at), again = look(place->object);
    make_sense(at, &out);
    CHECK(out.what == (place->pages ? NH_PAGES : NH_OBJECT), at);
    CHECK(out.object == place->object && out.size >= place->size, at);
    CHECK(nh_node_of(at) == out.home_node, at);
    /* Nothing of it changes while it is held. */
    CHECK(memcmp(&out, &again, sizeof(out)) == 0, at);
    uint64_t stamp;
    memcpy(&stamp, out.object, sizeof(stamp));
    CHECK(stamp == stamp_of(place->object, place->size), at);
    count(&exact);
}

static void look_at_board(uint64_t *state)
{
    struct place *place = &board[random_below(state, PLACES)];
    int references = atomic_load_explicit(&place->references, memory_order_relaxed);
    if (references == BUSY ||
        !atomic_compare_exchange_strong_explicit(&place->references, &references, references + 1,
                                                 memory_order_acquire, memory_order_relaxed))
        return;
    if (place->object != NULL)
        verify_held(place, state);
    atomic_fetch_sub_explicit(&place->references, 1, memory_order_release);
}

static void look_anywhere(uint64_t *state)
{
    uintptr_t at = atomic_load_explicit(&trash[random_below(state, TRASH)], memory_order_relaxed);
    switch (random_below(state, 4)) {
    case 0:
        at += random_below(state, 4000000);
        break;
    case 1:
        at -= random_below(state, 4000000);
        break;
    case 2:
        at = (uintptr_t)random_next(state) >> random_below(state, 64);
        break;
    default:
        break;
    }
    struct nh_object out = look((const void *)at);
    make_sense((const char *)at, &out);
}

/* ---- The made-up heap ---- */

/* Far from where the system and the heaps put memory; never touched. */
#define MADE_UP_BASE   ((uintptr_t)0x3a0000000000)
#define MADE_UP_SPANS  8
#define MADE_UP_PAGES  64 /* most of a span; and how far they are apart */
#define MADE_UP_LEAVES 16 /* more than spans, so that some have none */
#define LEAF_BYTES     ((uintptr_t)1 << TABLE_LEAF_SHIFT)

static struct span made_up[MADE_UP_SPANS];

/* All of a span's fields follow from what its descriptor's place and version give. */
static size_t pages_of(uint64_t number)
{
    return 1 + (size_t)(number * STAMP >> 32) % MADE_UP_PAGES;
}

static uintptr_t base_of(size_t span, uint64_t number)
{
    return MADE_UP_BASE + (number * STAMP >> 40) % MADE_UP_LEAVES * LEAF_BYTES +
           (span * MADE_UP_PAGES << NH_PAGE_SHIFT);
}

static void describe(size_t i, uint64_t number)
{
    struct span *span = &made_up[i];
    span_change(span);
    /* First: in the midst of a change no order among fields matters. */
    span_set_state(span, SPAN_IN_USE);
    span_store(&span->base, base_of(i, number));
    /* Readers shall meet it in the midst of the change. */
    if (number % 16 == 0)
        (void)sched_yield();
    span_store(&span->pages, pages_of(number));
    span_store(&span->index_magic, number * STAMP);
    span_store(&span->bytes, (uint32_t)number);
    span_settle(span);
}

static void begin_life(size_t i, uint64_t number)
{
    uintptr_t base = base_of(i, number);
    CHECK(span_table_cover(base, pages_of(number)), (void *)base);
    span_table_set(base, pages_of(number), &made_up[i]);
    describe(i, number);
}

static void end_life(size_t i, uint64_t number)
{
    struct span *span = &made_up[i];
    span_change(span);
    span_set_state(span, SPAN_FREE);
    span_set_state(span, SPAN_DEAD);
    span_settle(span);
    uintptr_t base = base_of(i, number);
    span_table_clear(base, pages_of(number));
    size_t leaves = span_table_leaves();
    span_table_uncover(base, pages_of(number));
    if (span_table_leaves() < leaves)
        count(&dropped_leaves);
}

/* Each descriptor lives again and again, elsewhere and with other pages. */
static void *lives(void *arg)
{
    (void)arg;
    for (uint64_t number = 1; !atomic_load_explicit(&stop, memory_order_relaxed); number++) {
        if (number > MADE_UP_SPANS)
            end_life(number % MADE_UP_SPANS, number - MADE_UP_SPANS);
        begin_life(number % MADE_UP_SPANS, number);
    }
    return NULL;
}

static void look_at_made_up(uint64_t *state)
{
    uintptr_t at = MADE_UP_BASE + random_below(state, MADE_UP_LEAVES) * LEAF_BYTES +
                   random_below(state, (size_t)(MADE_UP_SPANS * MADE_UP_PAGES) << NH_PAGE_SHIFT);
    struct span_view view;
    if (span_table_find(at, &view) != SPAN_FOUND)
        return;
    size_t i = (size_t)(view.span - made_up);
    uint64_t number = view.index_magic * UINT64_C(0xf1de83e19937733d); /* STAMP's inverse */
    const void *where = (const void *)at;
    CHECK(i < MADE_UP_SPANS && view.state == SPAN_IN_USE, where);
    CHECK(view.base <= at && at < span_view_end(&view), where);
    CHECK(view.base == base_of(i, number) && view.pages == pages_of(number), where);
    CHECK(view.bytes == (uint32_t)number, where);
    count(&found_spans);
}

/* ---- Readers ---- */

static void *reads(void *arg)
{
    uint64_t state = seed_of(arg) + 1;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        look_at_made_up(&state);
        look_at_board(&state);
        look_anywhere(&state);
    }
    return NULL;
}

struct walk {
    const char *last;
    size_t eternal;
};

static int by_address(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    return x < y ? -1 : x > y;
}

static int visit(const struct nh_object *object, void *arg)
{
    struct walk *walk = arg;
    const char *at = object->object;
    make_sense(at, object);
    CHECK(walk->last == NULL || at > walk->last, at);
    walk->last = at;
    walk->eternal += bsearch(&at, eternal, ETERNAL, sizeof(eternal[0]), by_address) != NULL;
    return 0;
}

static int visit_span(const struct nh_span *span, void *arg)
{
    const char **end = arg;
    CHECK((const char *)span->base >= *end && span->size != 0, span->base);
    CHECK(span->held <= span->objects && span->objects * span->object_size <= span->size,
          span->base);
    *end = (const char *)span->base + span->size;
    return 0;
}

static void *walks_all(void *arg)
{
    (void)arg;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        struct walk walk = {0};
        const char *end = NULL;
        CHECK(nh_walk_objects(visit, &walk) == 0, NULL);
        CHECK(walk.eternal == ETERNAL, walk.last);
        CHECK(nh_walk_spans(visit_span, &end) == 0, NULL);
        count(&walks);
    }
    return NULL;
}

/* ---- All of it ---- */

static double now(void)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/* Whether each kind of answer was had often enough for the run to mean something. */
static bool saw_enough(void)
{
    return atomic_load(&exact) >= LOOKUPS_LEAST && atomic_load(&found_spans) >= LOOKUPS_LEAST &&
           atomic_load(&walks) >= 2 && atomic_load(&allocations) >= LOOKUPS_LEAST &&
           atomic_load(&dropped_leaves) >= LOOKUPS_LEAST;
}

static void report(const char *end)
{
    struct nh_stats stats = {.struct_size = sizeof(stats)};
    CHECK(nh_stats_read(&stats) == 0, NULL);
    printf("torture_lookup: %llu lookups, %llu of held objects, %llu of made-up spans, "
           "%llu of changing ones, %llu walks, %llu leaves dropped, %llu allocations, "
           "%llu unmaps, %llu loans, %s\n",
           (unsigned long long)atomic_load(&lookups), (unsigned long long)atomic_load(&exact),
           (unsigned long long)atomic_load(&found_spans),
           (unsigned long long)atomic_load(&changing), (unsigned long long)atomic_load(&walks),
           (unsigned long long)atomic_load(&dropped_leaves),
           (unsigned long long)atomic_load(&allocations), (unsigned long long)stats.unmaps,
           (unsigned long long)stats.borrows, end);
    (void)fflush(stdout);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    end_found("a lookup's load faulted", info->si_addr);
}

static void start(pthread_t *thread, void *(*run)(void *), uintptr_t number)
{
    if (pthread_create(thread, NULL, run, (void *)number) != 0) {
        fputs("torture_lookup: no thread\n", stderr);
        exit(EXIT_FAILURE);
    }
}

static void usage(FILE *out)
{
    fputs("usage: torture_lookup [--seconds N] [--must-fail]\n\n"
          "  --seconds N   at least so long (default 3)\n"
          "  --must-fail   the build is broken: status 0 as soon as that is found out\n",
          out);
}

static long seconds_of(const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < 1) {
        fputs("torture_lookup: --seconds: not a number from 1\n", stderr);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    long seconds = 3;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--must-fail") == 0) {
            must_fail = true;
        } else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
            seconds = seconds_of(argv[++i]);
        } else {
            usage(strcmp(argv[i], "--help") == 0 ? stdout : stderr);
            return strcmp(argv[i], "--help") == 0 ? 0 : 2;
        }
    }
    if (must_fail) {
        cpu_set_t set;
        if (sched_getaffinity(0, sizeof set, &set) != 0 || CPU_COUNT(&set) < 2) {
            puts("torture_lookup: skipped: what is broken shows on two CPUs only");
            return SKIPPED;
        }
        struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
        (void)sigaction(SIGSEGV, &action, NULL);
    }
    uint64_t state = STAMP;
    for (size_t i = 0; i < ETERNAL; i++)
        CHECK((eternal[i] = nh_malloc(random_size(&state))) != NULL, NULL);
    qsort(eternal, ETERNAL, sizeof(eternal[0]), by_address);
    for (size_t i = 0; i < TRASH; i++)
        atomic_store(&trash[i], (uintptr_t)eternal[i % ETERNAL]);
    pthread_t threads[2 * THREADS + 2];
    size_t started = 0;
    for (uintptr_t i = 0; i < THREADS; i++) {
        start(&threads[started++], reads, i);
        start(&threads[started++], writes, THREADS + i);
    }
    start(&threads[started++], lives, 0);
    start(&threads[started++], walks_all, 0);
    double begun = now(), reported = begun;
    while (now() - begun < (double)seconds || !saw_enough()) {
        usleep(100000);
        if (now() - reported >= PROGRESS) {
            reported = now();
            report("going on");
        }
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);

    report("0 errors");
    return must_fail ? EXIT_FAILURE : EXIT_SUCCESS;
}
