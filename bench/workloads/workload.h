/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * workload.h - what a workload of bench/compare is made of.
 *
 * A workload is an amount of work that several threads do with plain malloc and
 * free; whose these are, LD_PRELOAD says.  It verifies every object it was given:
 * two objects that overlap, or one that changes by itself, end the process.  The
 * same sizes and places are drawn in every run, so every allocator does the same.
 *
 * A file of this folder holds one or a few kin, each a struct workload that
 * workloads.def lists; main.c runs them.
 */
#ifndef NH_BENCH_WORKLOAD_H
#define NH_BENCH_WORKLOAD_H

#include "../random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define WORKLOAD_LINE        64 /* bytes; of the cache */
#define WORKLOAD_THREADS_MAX 1024

/* A thread's part of a run; its own, and on cache lines of its own. */
struct workload_thread {
    _Alignas(WORKLOAD_LINE) uint64_t random; /* state of random_next */
    unsigned index;                          /* from 0 */
    unsigned threads;                        /* of the run */
    double scale;                            /* how much work: 1 unless --scale says otherwise */
    uint64_t operations;                     /* the thread counts here what it did: one is an
                                                object's malloc and free, unless said otherwise */
};

struct workload {
    const char *name;
    const char *about; /* a line for --list */
    /* Prepares what threads share, before any starts; not timed.  May be NULL. */
    void (*prepare)(unsigned threads, double scale);
    /* Each thread calls it once; the time until the last returns is the result. */
    void (*work)(struct workload_thread *thread);
    /* Frees what prepare and work left; not timed.  May be NULL. */
    void (*finish)(unsigned threads);
};

/* Prints what is wrong and ends the process with status 1. */
_Noreturn void workload_fail(const char *what);

/* `count` scaled, at least 1. */
static inline size_t workload_scaled(const struct workload_thread *thread, size_t count)
{
    double scaled = (double)count * thread->scale;
    return scaled < 1 ? 1 : (size_t)scaled;
}

/* ---- Sizes and places ---------------------------------------------------- */

/* Sizes drawn before anything is timed; any index & WORKLOAD_SIZE_MASK will do. */
#define WORKLOAD_SIZES     8192U /* a power of two */
#define WORKLOAD_SIZE_MASK (WORKLOAD_SIZES - 1U)
/* 16 to 1024 bytes, as many in each doubling. */
extern uint32_t workload_small[WORKLOAD_SIZES];
/* What servers ask for, by tables published of some: half below 64 bytes, nine in
 * ten below 512, one in a thousand 8 to 64 KiB. */
extern uint32_t workload_server[WORKLOAD_SIZES];

/* ---- Objects -------------------------------------------------------------
 * The first and the last word of an object tell its own address; so much of it
 * a program writes in any case. */

#define WORKLOAD_TAG 0x6e65617268656170ULL

/* Writes the tags.  At least 8 bytes. */
static inline void workload_tag(void *object, size_t size)
{
    uint64_t tag = (uint64_t)(uintptr_t)object ^ WORKLOAD_TAG;
    __builtin_memcpy(object, &tag, sizeof tag);
    __builtin_memcpy((char *)object + size - sizeof tag, &tag, sizeof tag);
}

static inline void workload_check(const void *object, size_t size)
{
    uint64_t first, last;
    __builtin_memcpy(&first, object, sizeof first);
    __builtin_memcpy(&last, (const char *)object + size - sizeof last, sizeof last);
    if (__builtin_expect(first != ((uint64_t)(uintptr_t)object ^ WORKLOAD_TAG) || first != last, 0))
        workload_fail("an object's contents changed");
}

static inline void *workload_malloc(size_t size)
{
    void *object = malloc(size);
    if (__builtin_expect(object == NULL, 0))
        workload_fail("malloc returned NULL");
    workload_tag(object, size);
    return object;
}

static inline void workload_free(void *object, size_t size)
{
    workload_check(object, size);
    free(object);
}

/* An object and its size, where a workload has to remember both. */
struct workload_object {
    void *at;
    size_t size;
};

static inline struct workload_object workload_get(size_t size)
{
    return (struct workload_object){workload_malloc(size), size};
}

static inline void workload_put(struct workload_object object)
{
    workload_free(object.at, object.size);
}

/* ---- Passing batches from thread to thread -------------------------------- */

#define WORKLOAD_BATCH 128

struct workload_batch {
    size_t count;
    struct workload_object objects[WORKLOAD_BATCH];
};

/* A queue of batches of bounded length, with any number of givers and takers. */
struct workload_channel;

struct workload_channel *workload_channel_new(void);
/* When it is empty. */
void workload_channel_delete(struct workload_channel *channel);
/* Copies the batch; waits while the channel is full. */
void workload_channel_give(struct workload_channel *channel, const struct workload_batch *batch);
/* No more will come from one giver.  After as many calls as there are givers
 * (`givers` is the same in every call) takers get what is left, then false. */
void workload_channel_close(struct workload_channel *channel, unsigned givers);
/* Waits for a batch; false when none will come. */
bool workload_channel_take(struct workload_channel *channel, struct workload_batch *batch);

#endif
