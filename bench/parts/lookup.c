/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * lookup.c - what it costs to ask what an address is, beside the bare walk of the table
 * that free does: of live objects, in no order that a processor knows.
 *
 * With several threads all but the benchmark's own state is shared, and one more thread
 * allocates and frees large objects, so that spans come and go meanwhile.
 */
#include "parts.h"

#include "nearheap.h"
#include "span_table.h"

#include <pthread.h>
#include <stdatomic.h>

#define OBJECTS_MOST ((size_t)1 << 18)
#define OBJECT       64
#define CHURN_BYTES  ((size_t)1 << 20)
#define THREADS_MOST 4

static void *objects[OBJECTS_MOST];

/* Once for all: the more are needed, the more there are. */
static bool prepare(size_t count)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static size_t prepared;
    (void)pthread_mutex_lock(&lock);
    while (prepared < count && (objects[prepared] = nh_malloc(OBJECT)) != NULL)
        prepared++;
    bool enough = prepared >= count;
    (void)pthread_mutex_unlock(&lock);
    return enough;
}

/* `waits` says whether each lookup waits for what the one before found, as code does that
 * goes on with the answer, or the processor may overlap them. */
NH_INLINE void walk(struct bench_state *state, bool waits)
{
    size_t count = (size_t)bench_range(state, 0);
    if (!prepare(count)) {
        bench_skip(state, "no memory");
        return;
    }
    size_t i = 0, sum = 0;
    while (bench_keep_running(state)) {
        bool found = span_table_home((uintptr_t)objects[parts_scatter(i, count)]) != 0;
        sum += found;
        i += waits ? found : 1;
    }
    if (sum != i)
        bench_skip(state, "no home word of a live object");
}

NH_INLINE void lookup(struct bench_state *state, bool waits)
{
    size_t count = (size_t)bench_range(state, 0);
    if (!prepare(count)) {
        bench_skip(state, "no memory");
        return;
    }
    size_t i = 0, sum = 0;
    while (bench_keep_running(state)) {
        struct nh_object out = {.struct_size = sizeof(out)};
        const void *object = objects[parts_scatter(i, count)];
        bool found = nh_lookup(object, &out) == 0 && out.object == object && out.what == NH_OBJECT;
        sum += found;
        i += waits ? found : 1;
    }
    if (sum != i)
        bench_skip(state, "not what a live object is");
}

static void bare_walk(struct bench_state *state)
{
    walk(state, false);
}

static void bare_walk_waits(struct bench_state *state)
{
    walk(state, true);
}

static void lookup_all(struct bench_state *state)
{
    lookup(state, false);
}

static void lookup_waits(struct bench_state *state)
{
    lookup(state, true);
}

static _Atomic bool stop;

static void *churns(void *arg)
{
    (void)arg;
    while (!atomic_load_explicit(&stop, memory_order_relaxed))
        nh_free(nh_malloc(CHURN_BYTES));
    return NULL;
}

static void lookup_beside_writer(struct bench_state *state)
{
    static pthread_t writer;
    static bool writes;
    bool first = bench_thread_index(state) == 0;
    if (first) {
        atomic_store(&stop, false);
        writes = pthread_create(&writer, NULL, churns, NULL) == 0;
    }
    lookup_all(state);
    if (!first)
        return;
    atomic_store(&stop, true);
    if (writes)
        (void)pthread_join(writer, NULL);
    else
        bench_skip(state, "no thread");
}

void parts_register_lookup(void)
{
    bench_arg_range(bench_register("lookup_bare_walk", bare_walk), 64, OBJECTS_MOST, 64);
    bench_arg_range(bench_register("lookup", lookup_all), 64, OBJECTS_MOST, 64);
    bench_arg_range(bench_register("lookup_bare_walk_waits", bare_walk_waits), 64, OBJECTS_MOST,
                    64);
    bench_arg_range(bench_register("lookup_waits", lookup_waits), 64, OBJECTS_MOST, 64);
    for (int threads = 1; threads <= THREADS_MOST; threads *= 2) {
        struct bench *b = bench_register("lookup_beside_writer", lookup_beside_writer);
        bench_arg(b, (int64_t)OBJECTS_MOST);
        bench_with_threads(b, threads);
        bench_real_time(b);
    }
}
