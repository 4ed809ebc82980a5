/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cache.c - malloc and free that the cache serves alone: a thread's cache, and a
 * CPU's.
 *
 * A process changes from the one to the other once and for good, when it has begun
 * enough threads (cpu_cache.h).  So threads' caches come first, and whoever wants
 * CPUs' begins threads.
 */
#include "parts.h"

#include "cache.h"
#include "cpu_cache.h"
#include "nearheap.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

/* Pairs until the cache has a magazine of the class, which of large objects it has when
 * they were asked for often (cache_share.h). */
#define FIRST_PAIRS 1000

/* Pairs of `size` that never leave the loaded magazine.  The caller has seen to it
 * that the thread keeps its cache. */
static void pairs(struct bench_state *state, size_t size)
{
    struct heap *heap = cache_heap();
    for (unsigned i = 0; i < FIRST_PAIRS; i++) {
        void *first = nh_malloc(size);
        if (heap == NULL || first == NULL) {
            bench_skip(state, "no memory");
            return;
        }
        nh_free(first);
    }
    const struct central *central = heap_central(heap, size_class_of(size));
    uint64_t refills = central->refills, flushes = central->flushes;
    while (bench_keep_running(state)) {
        void *object = nh_malloc(size);
        bench_use(object);
        nh_free(object);
    }
    if (central->refills != refills || central->flushes != flushes)
        bench_skip(state, "the central list was asked: not only hits");
}

static void cache_hit_thread(struct bench_state *state)
{
    if (cache_heap() == NULL) {
        bench_skip(state, "no memory");
        return;
    }
    if (cpu_caches_used()) {
        bench_skip(state, PARTS_NOT_HERE "CPUs have the caches already");
        return;
    }
    pairs(state, (size_t)bench_range(state, 0));
    if (nh_thread.cache == NULL)
        bench_skip(state, "the thread has no cache of its own");
}

/* ---- CPUs' caches ---- */

static void *begin(void *arg)
{
    nh_free(nh_malloc(NH_GRAIN));
    return arg;
}

/* Begins threads, one after another, until CPUs have caches. */
static bool use_cpu_caches(void)
{
    /* Twice as many as are documented to be enough. */
    long most = 4 * sysconf(_SC_NPROCESSORS_CONF);
    for (long i = 0; i < most && !cpu_caches_used(); i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, begin, NULL) != 0)
            return false;
        (void)pthread_join(thread, NULL);
    }
    return cpu_caches_used();
}

/* The thread stays on one CPU: on another it would find another cache, and refill. */
static void cache_hit_cpu(struct bench_state *state)
{
    if (!use_cpu_caches()) {
        bench_skip(state, PARTS_NOT_HERE "CPUs cannot have caches, or no threads");
        return;
    }
    cpu_set_t before, one;
    CPU_ZERO(&one);
    int cpu = sched_getcpu();
    if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof before, &before) != 0) {
        bench_skip(state, PARTS_NOT_HERE "more CPUs than a set of them holds");
        return;
    }
    CPU_SET((unsigned)cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0) {
        bench_skip(state, PARTS_NOT_HERE "the thread may not be kept on a CPU");
        return;
    }
    pairs(state, (size_t)bench_range(state, 0));
    if (nh_thread.cache != NULL)
        bench_skip(state, "the thread has a cache of its own");
    (void)sched_setaffinity(0, sizeof before, &before);
}

void parts_register_cache(void)
{
    /* Without curves: of each, all runs may be skipped (bench_complexity). */
    struct bench *b = bench_register("cache_hit_thread", cache_hit_thread);
    bench_arg_range(b, NH_GRAIN, NH_CLASS_MAX, 8);

    b = bench_register("cache_hit_cpu", cache_hit_cpu);
    bench_arg_range(b, NH_GRAIN, NH_CLASS_MAX, 8);
}
