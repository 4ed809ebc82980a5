/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * micro.c - what single calls cost: one thread, the allocator's fast paths.
 *
 * Calls plain malloc and its family, so that LD_PRELOAD says whose they are.
 */
#include "bench.h"
#include "random.h"

#include <stdlib.h>

/* One object lives at a time: the fastest an allocator can be. */
static void pair(struct bench_state *state)
{
    size_t size = (size_t)bench_range(state, 0);
    while (bench_keep_running(state)) {
        void *p = malloc(size);
        bench_use(p);
        free(p);
    }
    bench_items(state, bench_iterations(state));
}

static void calloc_pair(struct bench_state *state)
{
    size_t size = (size_t)bench_range(state, 0);
    while (bench_keep_running(state)) {
        void *p = calloc(1, size);
        bench_use(p);
        free(p);
    }
    bench_items(state, bench_iterations(state));
    bench_bytes(state, bench_iterations(state) * (int64_t)size);
}

static void aligned_pair(struct bench_state *state)
{
    size_t alignment = (size_t)bench_range(state, 0);
    size_t size = (size_t)bench_range(state, 1);
    while (bench_keep_running(state)) {
        void *p = aligned_alloc(alignment, size);
        bench_use(p);
        free(p);
    }
    bench_items(state, bench_iterations(state));
}

enum order { IN_ORDER, REVERSE, SHUFFLED };

/* Fills `at` with 0 to count - 1 in the order in which to free. */
static void fill_order(size_t *at, size_t count, enum order order)
{
    uint64_t random = 88172645463325252ULL;
    for (size_t i = 0; i < count; i++)
        at[i] = order == REVERSE ? count - 1 - i : i;
    if (order != SHUFFLED)
        return;
    for (size_t i = count - 1; i > 0; i--) {
        size_t j = random_below(&random, i + 1);
        size_t kept = at[i];
        at[i] = at[j];
        at[j] = kept;
    }
}

/* Many objects live at a time: past what a thread caches, the middle layers
 * work too.  An item is an object's malloc and free. */
static void batch(struct bench_state *state, enum order order)
{
    size_t size = (size_t)bench_range(state, 0);
    size_t count = (size_t)bench_range(state, 1);
    void **objects = calloc(count, sizeof *objects);
    size_t *at = calloc(count, sizeof *at);
    if (objects == NULL || at == NULL) {
        bench_skip(state, "no memory for the benchmark's own arrays");
    } else {
        fill_order(at, count, order);
    }
    while (bench_keep_running(state)) {
        for (size_t i = 0; i < count; i++)
            objects[i] = malloc(size);
        for (size_t i = 0; i < count; i++)
            free(objects[at[i]]);
    }
    bench_items(state, bench_iterations(state) * (int64_t)count);
    free(objects);
    free(at);
}

static void batch_in_order(struct bench_state *state)
{
    batch(state, IN_ORDER);
}

static void batch_reverse(struct bench_state *state)
{
    batch(state, REVERSE);
}

static void batch_shuffled(struct bench_state *state)
{
    batch(state, SHUFFLED);
}

/* A buffer that grows by half each time until it has `limit` bytes, as strings
 * and vectors do.  An item is one realloc. */
static void realloc_growth(struct bench_state *state)
{
    size_t limit = (size_t)bench_range(state, 0);
    int64_t calls = 0;
    while (bench_keep_running(state)) {
        char *buffer = NULL;
        for (size_t size = 16; size < limit; size += size / 2) {
            char *grown = realloc(buffer, size);
            if (grown == NULL) {
                bench_skip(state, "realloc failed");
                break;
            }
            buffer = grown;
            buffer[size - 1] = 1;
            bench_use(buffer);
            calls++;
        }
        free(buffer);
    }
    bench_items(state, calls);
}

int main(int argc, char **argv)
{
    struct bench *b = bench_register("pair", pair);
    bench_arg_range(b, 16, 65536, 4);
    bench_arg(b, 1 << 20);

    b = bench_register("calloc", calloc_pair);
    bench_arg_range(b, 64, 1 << 20, 16);

    b = bench_register("aligned", aligned_pair);
    bench_arg_names(b, (const char *const[]){"align", "size"}, 2);
    bench_args(b, (const int64_t[]){64, 192}, 2);
    bench_args(b, (const int64_t[]){4096, 4096}, 2);
    bench_args(b, (const int64_t[]){1 << 16, 1 << 16}, 2);

    static const struct {
        const char *name;
        bench_fn *fn;
    } batches[] = {
        {"batch_in_order", batch_in_order},
        {"batch_reverse", batch_reverse},
        {"batch_shuffled", batch_shuffled},
    };
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        b = bench_register(batches[i].name, batches[i].fn);
        bench_arg_names(b, (const char *const[]){"size", "live"}, 2);
        bench_args(b, (const int64_t[]){64, 100}, 2);
        bench_args(b, (const int64_t[]){16, 1000}, 2);
        bench_args(b, (const int64_t[]){256, 10000}, 2);
        bench_args(b, (const int64_t[]){4096, 1000}, 2);
    }

    b = bench_register("realloc_growth", realloc_growth);
    bench_arg(b, 1 << 10);
    bench_arg(b, 1 << 16);
    bench_arg(b, 1 << 22);
    return bench_main(argc, argv);
}
