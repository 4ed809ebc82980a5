/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * throughput.c - how much several threads allocate and free in a second.
 *
 * Calls plain malloc and free, so that LD_PRELOAD says whose they are.  An item
 * is one object's malloc and free; its first bytes are written, as a program
 * would.  All benchmarks draw their sizes and places from the same sequences
 * in every run.
 */
#include "bench.h"
#include "random.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#define CACHE_LINE  64
#define THREADS_MAX 64

/* ---- Sizes and places ---------------------------------------------------- */

/* Each thread's own sequence; never 0, where xorshift would stay. */
static uint64_t random_of_thread(const struct bench_state *state)
{
    uint64_t random = 0x9e3779b97f4a7c15ULL * ((uint64_t)bench_thread_index(state) + 1);
    for (int i = 0; i < 8; i++)
        random_next(&random);
    return random;
}

/* Sizes are drawn beforehand: the loops must cost little beside malloc. */
#define SIZES 4096
static size_t small_sizes[SIZES]; /* 16 to 1024, as many in each doubling */
static size_t mixed_sizes[SIZES]; /* the same, but 1 in 64 is of 1 to 64 KiB */

static void draw_sizes(void)
{
    uint64_t random = 0x2545f4914f6cdd1dULL;
    for (size_t i = 0; i < SIZES; i++) {
        size_t base = (size_t)16 << random_next(&random) % 6;
        small_sizes[i] = base + (size_t)(random_next(&random) % base) + 1;
        base = (size_t)1024 << random_next(&random) % 6;
        mixed_sizes[i] =
            i % 64 == 0 ? base + (size_t)(random_next(&random) % base) : small_sizes[i];
    }
}

/* An object of `size` bytes, written to; the process ends if there is none,
 * for a benchmark that goes on without memory measures nothing. */
static void *make(size_t size)
{
    uint64_t *object = malloc(size);
    if (__builtin_expect(object == NULL, 0))
        abort();
    object[0] = size;
    bench_use(object);
    return object;
}

/* ---- Private objects ------------------------------------------------------
 * Every thread frees what it allocated itself: what a server's requests do. */

#define PRIVATE_LIVE 256

static void private_objects(struct bench_state *state)
{
    uint64_t random = random_of_thread(state);
    void *objects[PRIVATE_LIVE];
    while (bench_keep_running(state)) {
        const size_t *sizes = small_sizes + random_next(&random) % (SIZES - PRIVATE_LIVE);
        for (size_t i = 0; i < PRIVATE_LIVE; i++)
            objects[i] = make(sizes[i]);
        for (size_t i = 0; i < PRIVATE_LIVE; i++)
            free(objects[i]);
    }
    bench_items(state, bench_iterations(state) * PRIVATE_LIVE);
}

/* ---- Hand-over ------------------------------------------------------------
 * The threads form a ring: each allocates for the next and frees what comes
 * from the one before, a batch at a time.
 *
 * Nobody waits for ever: every thread hands over a batch before it takes one,
 * so the one that is furthest behind always finds a batch and room for one.
 * HANDOVER_LEAD batches are under way before the clock starts, so that threads
 * need not keep step. */

#define HANDOVER_BATCH 64
#define HANDOVER_LEAD  8
#define HANDOVER_SLOTS 32 /* more than twice the lead; a power of two */

struct handover {
    _Alignas(CACHE_LINE) atomic_size_t given; /* written by the giver */
    _Alignas(CACHE_LINE) atomic_size_t taken; /* written by the taker */
    _Alignas(CACHE_LINE) void *batches[HANDOVER_SLOTS][HANDOVER_BATCH];
};
static struct handover handovers[THREADS_MAX]; /* by taker; empty between runs */

static void handover_give(struct handover *to, const size_t *sizes)
{
    size_t given = atomic_load_explicit(&to->given, memory_order_relaxed);
    while (given - atomic_load_explicit(&to->taken, memory_order_acquire) == HANDOVER_SLOTS)
        sched_yield();
    void **batch = to->batches[given % HANDOVER_SLOTS];
    for (size_t i = 0; i < HANDOVER_BATCH; i++)
        batch[i] = make(sizes[i]);
    atomic_store_explicit(&to->given, given + 1, memory_order_release);
}

static void handover_take(struct handover *from)
{
    size_t taken = atomic_load_explicit(&from->taken, memory_order_relaxed);
    while (atomic_load_explicit(&from->given, memory_order_acquire) == taken)
        sched_yield();
    void **batch = from->batches[taken % HANDOVER_SLOTS];
    for (size_t i = 0; i < HANDOVER_BATCH; i++)
        free(batch[i]);
    atomic_store_explicit(&from->taken, taken + 1, memory_order_release);
}

static void handover(struct bench_state *state)
{
    int self = bench_thread_index(state);
    struct handover *mine = &handovers[self];
    struct handover *next = &handovers[(self + 1) % bench_threads(state)];
    uint64_t random = random_of_thread(state);
    for (int i = 0; i < HANDOVER_LEAD; i++)
        handover_give(next, small_sizes);
    while (bench_keep_running(state)) {
        handover_give(next, small_sizes + random_next(&random) % (SIZES - HANDOVER_BATCH));
        handover_take(mine);
    }
    for (int i = 0; i < HANDOVER_LEAD; i++)
        handover_take(mine);
    bench_items(state, bench_iterations(state) * HANDOVER_BATCH);
}

/* ---- Replacement ----------------------------------------------------------
 * A large live set, of which a random object is freed and another allocated in
 * its place: what a cache or a store of records does. */

#define REPLACE_LIVE 65536

static void replace(struct bench_state *state)
{
    uint64_t random = random_of_thread(state);
    void **objects = calloc(REPLACE_LIVE, sizeof *objects);
    if (objects == NULL)
        abort();
    for (size_t i = 0; i < REPLACE_LIVE; i++)
        objects[i] = make(mixed_sizes[i % SIZES]);
    while (bench_keep_running(state)) {
        uint64_t drawn = random_next(&random);
        void **place = &objects[drawn % REPLACE_LIVE];
        free(*place);
        *place = make(mixed_sizes[(drawn >> 32) % SIZES]);
    }
    for (size_t i = 0; i < REPLACE_LIVE; i++)
        free(objects[i]);
    free(objects);
    bench_items(state, bench_iterations(state));
}

/* ---- Larson ---------------------------------------------------------------
 * After P. Larson and M. Krishnan, "Memory allocation for long-running server
 * applications", ISMM 1998: each thread replaces random objects of a set, then
 * leaves the set to another thread and goes on with one that another left. */

#define LARSON_LIVE   1024
#define LARSON_ROUNDS 4096 /* replacements before a set changes hands */

struct larson_set {
    void *objects[LARSON_LIVE];
};
/* Where sets lie ready for any thread, two places a thread; filled when first
 * met and kept from then on. */
static _Atomic(struct larson_set *) larson_sets[2 * THREADS_MAX];

static struct larson_set *larson_set_new(void)
{
    struct larson_set *set = malloc(sizeof *set);
    if (set == NULL)
        abort();
    for (size_t i = 0; i < LARSON_LIVE; i++)
        set->objects[i] = make(small_sizes[i]);
    return set;
}

static void larson(struct bench_state *state)
{
    uint64_t random = random_of_thread(state);
    size_t places = (size_t)bench_threads(state) * 2;
    struct larson_set *set = larson_set_new();
    unsigned round = 0;
    while (bench_keep_running(state)) {
        uint64_t drawn = random_next(&random);
        void **place = &set->objects[drawn % LARSON_LIVE];
        free(*place);
        *place = make(small_sizes[(drawn >> 32) % SIZES]);
        if (++round == LARSON_ROUNDS) {
            round = 0;
            set = atomic_exchange(&larson_sets[(drawn >> 48) % places], set);
            if (set == NULL)
                set = larson_set_new();
        }
    }
    for (size_t i = 0; i < LARSON_LIVE; i++)
        free(set->objects[i]);
    free(set);
    bench_items(state, bench_iterations(state));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        bench_fn *fn;
    } all[] = {
        {"private", private_objects},
        {"handover", handover},
        {"replace", replace},
        {"larson", larson},
    };
    draw_sizes();
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct bench *b = bench_register(all[i].name, all[i].fn);
        bench_real_time(b);
        for (int threads = 1; threads <= 4; threads *= 2)
            bench_with_threads(b, threads);
    }
    return bench_main(argc, argv);
}
