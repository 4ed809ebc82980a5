/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * churn.c - see churn.h.
 *
 * An object begins with its size; the words after it follow from its address and size.
 */
#include "churn.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

/* ---- Phases ---- */

enum what {
    CHURN,   /* objects are replaced */
    THREADS, /* some of them by threads that do nothing else */
    PASS,    /* they are exchanged with other threads */
    IDLE     /* now and then */
};

static const struct phase {
    enum what what;
    size_t least, most; /* size of objects, as many in each doubling */
    size_t hold;        /* bytes a thread */
} phases[CHURN_PHASES] = {
    {CHURN, 16, 512, (size_t)8 << 20},     {CHURN, 256, 32 << 10, (size_t)12 << 20},
    {CHURN, 16, 8 << 10, (size_t)8 << 20}, {CHURN, 32 << 10, 2 << 20, (size_t)24 << 20},
    {CHURN, 16, 1 << 10, (size_t)1 << 20}, {THREADS, 16, 4 << 10, (size_t)4 << 20},
    {PASS, 16, 4 << 10, (size_t)6 << 20},  {CHURN, 16, 64 << 10, (size_t)32 << 20},
    {IDLE, 16, 1 << 10, (size_t)1 << 20},
};

/* What all do now: interval, period and phase in one word; relaxed, since nothing else
 * hangs on it. */
struct now {
    unsigned interval, period, phase;
    bool stop;
};
static _Atomic uint64_t now_word;

double churn_scale = 1;

static struct now what_now(void)
{
    uint64_t word = atomic_load_explicit(&now_word, memory_order_relaxed);
    return (struct now){.interval = (unsigned)(word & 0xff),
                        .phase = (unsigned)(word >> 8 & 0xff),
                        .period = (unsigned)(word >> 16 & 0xffffffff),
                        .stop = (word >> 63) != 0};
}

void churn_go(unsigned period, unsigned phase, unsigned interval)
{
    atomic_store_explicit(&now_word, interval | phase << 8 | (uint64_t)period << 16,
                          memory_order_relaxed);
}

void churn_stop(void)
{
    atomic_fetch_or_explicit(&now_word, (uint64_t)1 << 63, memory_order_relaxed);
}

/* ---- Threads ---- */

#define OBJECTS_MOST ((size_t)1 << 18) /* of a thread, of each kind */
#define OLD_BYTES    ((size_t)3 << 20) /* of a thread's objects that stay */
#define OLD_ONE_IN   64
#define TIMED_ONE_IN 16
#define MAILBOXES    256

/* Times by their highest bit and the four below it. */
#define FINE    16U
#define BUCKETS (40U * FINE)

/* Written by its thread alone, read by the main thread, relaxed. */
struct times {
    _Atomic uint32_t malloc[BUCKETS], free[BUCKETS];
    _Atomic uint64_t operations;
};

/* Objects in no order. */
struct bag {
    void **at;
    size_t count;
    size_t bytes;
};

struct churn_thread {
    unsigned index, threads;
    uint32_t random;
    unsigned interval;
    struct bag young, old;
    /* What this thread allocated, less what it freed: another may have done that. */
    _Atomic int64_t live;
    struct times times[CHURN_INTERVALS];
};

/* Each slot's object is whose exchange gets it. */
static _Atomic(void *) mailboxes[MAILBOXES];

struct churn_thread *churn_new(unsigned threads)
{
    struct churn_thread *all = calloc(threads, sizeof(*all));
    CHECK(all != NULL);
    for (unsigned i = 0; i < threads; i++) {
        all[i] = (struct churn_thread){.index = i, .threads = threads, .random = 77 + i};
        all[i].young.at = calloc(OBJECTS_MOST, sizeof(void *));
        all[i].old.at = calloc(OBJECTS_MOST, sizeof(void *));
        CHECK(all[i].young.at != NULL && all[i].old.at != NULL);
    }
    return all;
}

struct churn_thread *churn_nth(struct churn_thread *all, unsigned index)
{
    return &all[index];
}

size_t churn_live(struct churn_thread *all, unsigned threads)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < threads; i++)
        sum += atomic_load_explicit(&all[i].live, memory_order_relaxed);
    return sum > 0 ? (size_t)sum : 0;
}

/* ---- Times ---- */

static uint64_t clock_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

static unsigned bucket_of(uint64_t ns)
{
    if (ns < FINE)
        return (unsigned)ns;
    unsigned bit = 63 - (unsigned)__builtin_clzll(ns);
    unsigned bucket = (bit - 3) * FINE + (unsigned)(ns >> (bit - 4) & (FINE - 1));
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static unsigned bucket_ns(unsigned bucket)
{
    if (bucket < FINE)
        return bucket;
    uint64_t ns = (uint64_t)(FINE + bucket % FINE) << (bucket / FINE - 1);
    return ns > UINT32_MAX ? UINT32_MAX : (unsigned)ns;
}

static void count_time(_Atomic uint32_t *buckets, uint64_t ns)
{
    _Atomic uint32_t *one = &buckets[bucket_of(ns)];
    atomic_store_explicit(one, atomic_load_explicit(one, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

static unsigned p99(const uint64_t *buckets)
{
    uint64_t sum = 0, seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        sum += buckets[i];
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += buckets[i];
        if (seen * 100 >= sum * 99)
            return bucket_ns(i);
    }
    return 0;
}

struct churn_times churn_times(struct churn_thread *all, unsigned threads, unsigned interval)
{
    static uint64_t mallocs[BUCKETS], frees[BUCKETS];
    struct churn_times result = {0};
    memset(mallocs, 0, sizeof(mallocs));
    memset(frees, 0, sizeof(frees));
    for (unsigned i = 0; i < threads; i++) {
        struct times *times = &all[i].times[interval];
        for (unsigned k = 0; k < BUCKETS; k++) {
            mallocs[k] += atomic_load_explicit(&times->malloc[k], memory_order_relaxed);
            frees[k] += atomic_load_explicit(&times->free[k], memory_order_relaxed);
        }
        result.operations += atomic_load_explicit(&times->operations, memory_order_relaxed);
    }
    result.malloc_p99 = p99(mallocs);
    result.free_p99 = p99(frees);
    return result;
}

/* ---- Objects ---- */

static uint64_t word_of(const void *at, size_t size, size_t i)
{
    return ((uint64_t)(uintptr_t)at >> 4) * 0x9e3779b97f4a7c15U + size + i;
}

/* In large objects, one word of each cache line. */
static size_t step_of(size_t size)
{
    return size <= 4096 ? 1 : 8;
}

static void write_object(void *at, size_t size)
{
    uint64_t *words = at;
    words[0] = size;
    for (size_t i = 1; i < size / sizeof(*words); i += step_of(size))
        words[i] = word_of(at, size, i);
}

/* Its size. */
static size_t verify_object(const void *at)
{
    const uint64_t *words = at;
    size_t size = words[0];
    CHECK(size >= 16 && size <= phases[3].most);
    for (size_t i = 1; i < size / sizeof(*words); i += step_of(size))
        CHECK(words[i] == word_of(at, size, i));
    return size;
}

static void add_live(struct churn_thread *thread, int64_t bytes)
{
    atomic_fetch_add_explicit(&thread->live, bytes, memory_order_relaxed);
}

static void *make(struct churn_thread *thread, size_t size)
{
    struct times *times = &thread->times[thread->interval];
    bool timed = random_next32(&thread->random) % TIMED_ONE_IN == 0;
    uint64_t before = timed ? clock_ns() : 0;
    void *at = malloc(size);
    if (timed)
        count_time(times->malloc, clock_ns() - before);
    CHECK(at != NULL);
    write_object(at, size);
    add_live(thread, (int64_t)size);
    atomic_store_explicit(&times->operations,
                          atomic_load_explicit(&times->operations, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    return at;
}

static void end(struct churn_thread *thread, void *at)
{
    size_t size = verify_object(at);
    bool timed = random_next32(&thread->random) % TIMED_ONE_IN == 0;
    uint64_t before = timed ? clock_ns() : 0;
    free(at);
    if (timed)
        count_time(thread->times[thread->interval].free, clock_ns() - before);
    add_live(thread, -(int64_t)size);
}

/* ---- Bags ---- */

static void put(struct bag *bag, void *at)
{
    CHECK(bag->count < OBJECTS_MOST);
    bag->bytes += *(uint64_t *)at;
    bag->at[bag->count++] = at;
}

static void *take(struct bag *bag, uint32_t *random)
{
    size_t i = random_next32(random) % bag->count;
    void *at = bag->at[i];
    bag->at[i] = bag->at[--bag->count];
    bag->bytes -= *(uint64_t *)at;
    return at;
}

static size_t draw(uint32_t *random, size_t least, size_t most)
{
    unsigned doublings = (unsigned)__builtin_ctzll(most / least);
    size_t low = least << random_next32(random) % doublings;
    return low + random_next32(random) % low;
}

/* Into the bag, or among those that stay. */
static void keep(struct churn_thread *thread, void *at)
{
    if (random_next32(&thread->random) % OLD_ONE_IN != 0 || *(uint64_t *)at > OLD_BYTES / 64) {
        put(&thread->young, at);
        return;
    }
    put(&thread->old, at);
    while (thread->old.bytes > OLD_BYTES)
        end(thread, take(&thread->old, &thread->random));
}

/* In each period another thread holds half as much more, and one that much less. */
static size_t to_hold(const struct churn_thread *thread, const struct phase *phase, unsigned period)
{
    unsigned turn = (thread->index + period) % thread->threads;
    size_t hold = (size_t)((double)phase->hold * churn_scale);
    if (thread->threads < 2 || turn > 1)
        return hold;
    return turn == 0 ? hold + hold / 2 : hold - hold / 2;
}

/* One object more, and as many less as it takes. */
static void replace(struct churn_thread *thread, const struct phase *phase, size_t hold)
{
    while (thread->young.count != 0 && thread->young.bytes > hold)
        end(thread, take(&thread->young, &thread->random));
    keep(thread, make(thread, draw(&thread->random, phase->least, phase->most)));
}

/* ---- Threads that come and go ---- */

#define VISITOR_OBJECTS 200

struct visitor {
    struct churn_thread *host;
    const struct phase *phase;
    uint32_t random;
    void *left[VISITOR_OBJECTS];
};

/* Its host waits, so what is the host's is the visitor's. */
static void *visit(void *arg)
{
    struct visitor *visitor = arg;
    for (size_t i = 0; i < VISITOR_OBJECTS; i++)
        visitor->left[i] = make(
            visitor->host, draw(&visitor->random, visitor->phase->least, visitor->phase->most));
    for (size_t i = 0; i < VISITOR_OBJECTS; i += 2) {
        end(visitor->host, visitor->left[i]);
        visitor->left[i] = NULL;
    }
    return NULL;
}

/* How many visitors are there at once is chance, and the C library keeps their stacks: these shall
 * not count for much in the address space. */
#define VISITOR_STACK ((size_t)512 << 10)

static void receive_visitor(struct churn_thread *thread, const struct phase *phase)
{
    pthread_attr_t attr;
    CHECK(pthread_attr_init(&attr) == 0 && pthread_attr_setstacksize(&attr, VISITOR_STACK) == 0);
    struct visitor visitor = {
        .host = thread, .phase = phase, .random = random_next32(&thread->random)};
    pthread_t id;
    CHECK(pthread_create(&id, &attr, visit, &visitor) == 0);
    CHECK(pthread_join(id, NULL) == 0);
    CHECK(pthread_attr_destroy(&attr) == 0);
    for (size_t i = 1; i < VISITOR_OBJECTS; i += 2)
        put(&thread->young, visitor.left[i]);
}

/* ---- A thread ---- */

static void pass(struct churn_thread *thread)
{
    if (thread->young.count == 0)
        return;
    /* Release and acquire: the object's contents go with it. */
    void *other =
        atomic_exchange_explicit(&mailboxes[random_next32(&thread->random) % MAILBOXES],
                                 take(&thread->young, &thread->random), memory_order_acq_rel);
    if (other != NULL)
        put(&thread->young, other);
}

/* A process that has nothing to do still does a little, again and again. */
static void idle(void)
{
    static const struct timespec beat = {.tv_nsec = 1000000};
    nanosleep(&beat, NULL);
}

#define STEPS 64 /* between looks at what is to be done */

void *churn_run(void *arg)
{
    struct churn_thread *thread = arg;
    for (struct now now = what_now(); !now.stop; now = what_now()) {
        const struct phase *phase = &phases[now.phase];
        size_t hold = to_hold(thread, phase, now.period);
        thread->interval = now.interval;
        for (unsigned i = 0; i < STEPS; i++) {
            replace(thread, phase, hold);
            if (phase->what == PASS)
                pass(thread);
        }
        if (phase->what == THREADS)
            receive_visitor(thread, phase);
        else if (phase->what == IDLE && thread->young.bytes <= hold)
            idle();
    }
    while (thread->young.count != 0)
        end(thread, take(&thread->young, &thread->random));
    while (thread->old.count != 0)
        end(thread, take(&thread->old, &thread->random));
    return NULL;
}

void churn_delete(struct churn_thread *all, unsigned threads)
{
    for (unsigned i = 0; i < MAILBOXES; i++) {
        void *at = atomic_load_explicit(&mailboxes[i], memory_order_relaxed);
        if (at != NULL)
            end(&all[0], at);
    }
    CHECK(churn_live(all, threads) == 0);
    for (unsigned i = 0; i < threads; i++) {
        free(all[i].young.at);
        free(all[i].old.at);
    }
    free(all);
}
