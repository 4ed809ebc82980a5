/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * central.c - a central list: objects out of spans and back, magazines to the
 * depot and back.  What a cache does when it has no hit.
 */
#include "parts.h"

#include "cache.h"
#include "heap.h"

#include <string.h>

/* A class that nothing else here uses, so that all of the list is ours; and no
 * power of two: those come in whole cache lines when there are few. */
#define SIZE 48

/* So many spans are out, each with a live object, so that none goes back to the page
 * heap.  Many, so that stopping the clock weighs little, and that their descriptors
 * do not fit the processor's first cache. */
#define SPANS 2048

static void *anchor[SPANS];
static void *object[SPANS * NH_SPAN_OBJECTS_MAX];

/* Objects back to their spans, so many at a time. */
static void put_all(struct central *central, void **from, size_t count, unsigned batch)
{
    for (size_t n = 0; n < count; n += batch)
        central_put(central, &from[n], count - n < batch ? (unsigned)(count - n) : batch);
}

/* The list, with nothing in it; NULL, and skipped, if there is something. */
static struct central *find_central(struct bench_state *state)
{
    struct heap *heap = cache_heap();
    struct central *central = heap != NULL ? heap_central(heap, size_class_of(SIZE)) : NULL;
    if (central == NULL) {
        bench_skip(state, "no memory");
        return NULL;
    }
    if (central->spans != 0 || central->free_in_depot != 0) {
        bench_skip(state, "the list is not empty");
        return NULL;
    }
    return central;
}

/* All objects of SPANS spans free, but the anchors.  False, and skipped, without
 * memory; what there is stays. */
static bool lay_out(struct bench_state *state, struct central *central)
{
    size_t each = central->cut.objects;
    for (size_t i = 0; i < SPANS * each; i++) {
        object[i] = central_take_one(central);
        if (object[i] == NULL) {
            bench_skip(state, "no memory");
            return false;
        }
    }
    for (size_t i = 0; i < SPANS; i++) {
        anchor[i] = object[i * each];
        put_all(central, &object[i * each + 1], each - 1, MAGAZINE_ROUNDS);
    }
    if (central->spans != SPANS || central->free_in_spans != SPANS * (each - 1)) {
        bench_skip(state, "the objects do not lie in spans as expected");
        return false;
    }
    return true;
}

/* `count` objects by batches, through a magazine that a cache would load. */
static size_t refill_all(struct central *central, struct magazine *magazine, unsigned batch,
                         size_t count)
{
    size_t n = 0;
    while (n < count) {
        unsigned want = count - n < batch ? (unsigned)(count - n) : batch;
        if (central_exchange_empty(central, magazine, want, 0) != magazine)
            break;
        memcpy(&object[n], magazine->slot, magazine->count * sizeof *object);
        n += magazine->count;
    }
    magazine->count = 0;
    return n;
}

/* As after a while of malloc and free in no order: neighbours in a batch are none in
 * memory (Fisher & Yates). */
static void shuffle(size_t count)
{
    uint64_t random = 1;
    for (size_t i = count; i > 1; i--) {
        size_t k = random_next(&random) % i;
        void *other = object[k];
        object[k] = object[i - 1];
        object[i - 1] = other;
    }
}

enum timed { REFILL, FLUSH, FLUSH_MIXED };

/* One of both is timed, the other one restores what it needs.  Per object. */
static void by_batches(struct bench_state *state, enum timed timed)
{
    struct central *central = find_central(state);
    if (central == NULL || !lay_out(state, central))
        return;
    struct magazine *magazine = heap_magazine_new(central->heap);
    if (magazine == NULL) {
        bench_skip(state, "no memory");
        return;
    }
    magazine->count = 0;
    unsigned batch = (unsigned)bench_range(state, 0);
    size_t count = central->free_in_spans / batch * batch;
    bool whole = true;
    while (bench_keep_running_batch(state, (int64_t)count)) {
        if (timed == REFILL) {
            whole &= refill_all(central, magazine, batch, count) == count;
            bench_pause(state);
            put_all(central, object, count, MAGAZINE_ROUNDS);
            bench_resume(state);
        } else {
            bench_pause(state);
            whole &= refill_all(central, magazine, MAGAZINE_ROUNDS, count) == count;
            if (timed == FLUSH_MIXED)
                shuffle(count);
            bench_resume(state);
            put_all(central, object, count, batch);
        }
    }
    central_retire(central, magazine, 0);
    put_all(central, anchor, SPANS, MAGAZINE_ROUNDS);
    if (!whole || central->spans != 0 || central->free_in_spans != 0)
        bench_skip(state, "batches were short, or objects were lost");
}

/* By objects a batch: from spans' free bits into a magazine, and copied out of it. */
static void refill(struct bench_state *state)
{
    by_batches(state, REFILL);
}

/* By objects a batch: back into their spans, in the order they came in. */
static void flush(struct bench_state *state)
{
    by_batches(state, FLUSH);
}

/* The same in no order: each of another span. */
static void flush_mixed(struct bench_state *state)
{
    by_batches(state, FLUSH_MIXED);
}

/* By objects in it: a full magazine to the depot for an empty one, and back. */
static void depot_exchange(struct bench_state *state)
{
    struct central *central = find_central(state);
    if (central == NULL)
        return;
    unsigned rounds = (unsigned)bench_range(state, 0);
    struct magazine *full = central_exchange_empty(central, NULL, rounds, 0);
    if (full == NULL || full->count != rounds) {
        bench_skip(state, "no full magazine");
        return;
    }
    const struct magazine *whose = full;
    void *last = full->slot[rounds - 1];
    while (full != NULL && bench_keep_running(state))
        full = central_exchange_empty(central, central_exchange_full(central, full, 0), rounds, 0);
    if (full != whose || full->count != rounds || full->slot[rounds - 1] != last) {
        bench_skip(state, "the magazine did not come back as it went");
        return;
    }
    central_put(central, full->slot, rounds);
    full->count = 0;
    central_retire(central, full, 0);
    bench_complexity_n(state, rounds);
}

void parts_register_central(void)
{
    static const struct {
        const char *name;
        bench_fn *fn;
        bool is_flat;
    } by_batch[] = {{"refill", refill, false},
                    {"flush", flush, false},
                    {"flush_mixed", flush_mixed, false},
                    {"depot_exchange", depot_exchange, true}};
    for (size_t i = 0; i < sizeof by_batch / sizeof *by_batch; i++) {
        struct bench *b = bench_register(by_batch[i].name, by_batch[i].fn);
        bench_arg_range(b, 1, MAGAZINE_ROUNDS, 4);
        /* The others' share of lock and list in an object's time becomes less. */
        if (by_batch[i].is_flat)
            bench_complexity(b, BENCH_FLAT);
    }
}
