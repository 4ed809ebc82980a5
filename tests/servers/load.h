/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * load.h - what the programs that put load on a database share: threads that begin
 * together, random numbers, values that can be verified, how long each operation took.
 *
 * Included by one source of a program.  Whatever fails ends the process with one line.
 */
#ifndef LOAD_H
#define LOAD_H

#include "../../bench/random.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LOAD_THREADS_MAX 64
#define LOAD_WORK_MAX    100000000UL
#define LOAD_NS          1000000000ULL

static const char *load_program;

static void load_fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n", load_program, what, why);
    _Exit(1); /* other threads may be at work */
}

/* The number that a program's argument is, from 1 to `most`. */
static inline unsigned long load_number(const char *text, unsigned long most)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || value == 0 || value > most)
        load_fail(text, "is not a number that is allowed here");
    return value;
}

static inline uint64_t load_seed(uint64_t number)
{
    return (number + 1) * 0x9e3779b97f4a7c15ULL;
}

/* Fills `size` bytes with what the two numbers say and nothing else does. */
static inline void load_fill(char *value, size_t size, uint64_t key, uint64_t version)
{
    uint64_t random = load_seed(key ^ version << 32);
    for (size_t i = 0; i < size; i += sizeof random) {
        uint64_t word = random_next(&random);
        memcpy(value + i, &word, size - i < sizeof word ? size - i : sizeof word);
    }
}

static inline uint64_t load_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * LOAD_NS + (uint64_t)now.tv_nsec;
}

/* ---- A phase: threads do one kind of work, each operation timed ---- */

struct load_worker {
    unsigned thread, threads;
    uint64_t random;
    unsigned long operations; /* to be done by this thread */
    uint32_t *took;           /* nanoseconds of each */
    void (*work)(struct load_worker *worker);
    void *shared;
};

static pthread_barrier_t load_start;

static inline void load_took(struct load_worker *worker, unsigned long operation, uint64_t begun)
{
    uint64_t ns = load_now() - begun;
    worker->took[operation] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

static void *load_thread(void *argument)
{
    struct load_worker *worker = argument;
    pthread_barrier_wait(&load_start);
    worker->work(worker);
    return NULL;
}

static int load_shorter(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Has `threads` threads do `work`, in all about `operations`, and prints what came of
 * it as a member of a JSON object: its rate and the 99th percentile.  The times lie in
 * memory of their own, given back before this returns: they are no part of a heap. */
static void load_phase(const char *name, unsigned threads, unsigned long operations,
                       void (*work)(struct load_worker *worker), void *shared)
{
    static bool another;
    struct load_worker workers[LOAD_THREADS_MAX];
    pthread_t ids[LOAD_THREADS_MAX];
    unsigned long each = operations / threads > 0 ? operations / threads : 1;
    unsigned long all = each * threads;
    uint32_t *took =
        mmap(NULL, all * sizeof *took, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (took == MAP_FAILED)
        load_fail(name, "no memory for its times");
    pthread_barrier_init(&load_start, NULL, threads + 1);
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = (struct load_worker){.thread = i,
                                          .threads = threads,
                                          .random = load_seed(i + all),
                                          .operations = each,
                                          .took = took + i * each,
                                          .work = work,
                                          .shared = shared};
        if (pthread_create(&ids[i], NULL, load_thread, &workers[i]) != 0)
            load_fail(name, "no thread could be created");
    }
    pthread_barrier_wait(&load_start);
    uint64_t begun = load_now();
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    double seconds = (double)(load_now() - begun) / (double)LOAD_NS;
    pthread_barrier_destroy(&load_start);
    qsort(took, all, sizeof *took, load_shorter);
    printf("%s\"%s\": {\"rate\": %.3f, \"p99\": %.9f}", another ? ", " : "{", name,
           (double)all / seconds, (double)took[(all - 1) * 99 / 100] / (double)LOAD_NS);
    another = true;
    munmap(took, all * sizeof *took);
}

/* All phases are done and all data was right: says so, and waits until the reader has
 * seen enough.  Each byte that the reader sends until then asks for a little work. */
static inline void load_done(void (*work)(void *shared), void *shared)
{
    char ignored;
    puts("}");
    fflush(stdout);
    while (read(STDIN_FILENO, &ignored, 1) > 0)
        work(shared);
}

#endif
