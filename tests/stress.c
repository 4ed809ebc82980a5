/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * stress.c - many threads allocate, exchange, verify and free objects through
 * all entry points; every byte of every object is checked before it goes.
 *
 * An object's bytes follow from its address, its size and a seed in its first
 * words, so that two objects that overlap, a byte that an allocator wrote, or a
 * realloc that lost some, show as a difference.  Objects change threads through
 * a table of slots, by atomic exchange.  Threads end in the middle of it, and
 * new ones take over their objects.  Phases grow, churn and shrink what lives.
 */
#include "../bench/random.h"
#include "family.h"
#include "part.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SLOTS          8192
#define PROGRESS       10    /* seconds */
#define THREAD_STEPS   20000 /* operations of one thread's life */
#define MEASURED_LIVES 3     /* lives of each thread with --seconds 0 */
#define PHASES         3     /* grow, churn, shrink */
#define PHASE_STEPS    4000
#define ALIGNMENTS     64

struct object {
    uint64_t size;
    uint64_t seed; /* times ALIGNMENTS, and the power of two that aligned_alloc gave, or 0 */
    unsigned char rest[];
};

static _Atomic(struct object *) slots[SLOTS];
static _Atomic uint64_t operations, verified_bytes;
static _Atomic bool stop;
static size_t max_size = (size_t)4 << 20;
static uint64_t base_seed = 1;
static long lives; /* 0: until stop */

static _Noreturn void fail(const char *what, const void *at, size_t size, size_t offset)
{
    fprintf(stderr, "stress: FAILED: %s: object %p of %zu bytes, offset %zu\n", what, at, size,
            offset);
    abort();
}

/* Mostly small, evenly in the logarithm; some to 64 KiB, few larger. */
static size_t pick_size(uint64_t *state)
{
    size_t kind = random_below(state, 1000);
    size_t most = kind < 930 ? 1024 : kind < 995 ? 65536 : max_size;
    size_t bits = 4 + random_below(state, (size_t)(64 - __builtin_clzll(most)) - 4);
    size_t size = ((size_t)1 << bits) + random_below(state, (size_t)1 << bits);
    return size > most ? most : size;
}

/* Words are verified whole; the tail byte by byte. */
static uint64_t word_at(const struct object *object, uint64_t seed, size_t index)
{
    return ((uint64_t)(uintptr_t)object ^ seed) + index * UINT64_C(0x9e3779b97f4a7c15);
}

static void fill_from(struct object *object, size_t from)
{
    size_t length = object->size - sizeof(*object);
    for (size_t i = from / 8; i < (length + 7) / 8; i++) {
        uint64_t word = word_at(object, object->seed, i);
        size_t n = length - i * 8 < 8 ? length - i * 8 : 8;
        memcpy(object->rest + i * 8, &word, n);
    }
}

/* The first `length` bytes after the header are those of an object that was at
 * `was` with `seed`. */
static void verify_as(const struct object *object, const struct object *was, uint64_t seed,
                      size_t length)
{
    for (size_t i = 0; i < (length + 7) / 8; i++) {
        uint64_t word = word_at(was, seed, i);
        size_t n = length - i * 8 < 8 ? length - i * 8 : 8;
        if (memcmp(object->rest + i * 8, &word, n) != 0)
            fail("contents changed", object, object->size, sizeof(*object) + i * 8);
    }
    atomic_fetch_add_explicit(&verified_bytes, length, memory_order_relaxed);
}

static void fill(struct object *object, size_t size, unsigned aligned, uint64_t *state)
{
    object->size = size;
    object->seed = random_next(state) / ALIGNMENTS * ALIGNMENTS + aligned;
    fill_from(object, 0);
}

static void verify(const struct object *object)
{
    verify_as(object, object, object->seed, object->size - sizeof(*object));
}

static void *must(void *ptr, size_t size)
{
    if (ptr == NULL)
        fail("out of memory", ptr, size, 0);
    return ptr;
}

static struct object *allocate(uint64_t *state)
{
    size_t size = pick_size(state);
    void *ptr = NULL;
    size_t alignment = 16;
    unsigned aligned = 0;
    switch (random_below(state, 16)) {
    case 0:
    case 1: {
        unsigned char *zeros = must(calloc(1, size), size);
        for (size_t i = 0; i < size; i++)
            if (zeros[i] != 0)
                fail("calloc is not zero", zeros, size, i);
        ptr = zeros;
        break;
    }
    case 2:
    case 3:
        alignment = (size_t)16 << random_below(state, 10);
        if (posix_memalign(&ptr, alignment, size) != 0)
            fail("posix_memalign failed", NULL, size, alignment);
        break;
    case 4:
    case 5:
        aligned = 4 + (unsigned)random_below(state, 6);
        alignment = (size_t)1 << aligned;
        ptr = must(aligned_alloc(alignment, size), size);
        break;
    case 6:
        alignment = (size_t)sysconf(_SC_PAGESIZE);
        ptr = must(valloc(size), size);
        break;
    case 7: /* all of its last page */
        alignment = (size_t)sysconf(_SC_PAGESIZE);
        ptr = must(pvalloc(size), size);
        size = (size + alignment - 1) / alignment * alignment;
        break;
    case 8:
    case 9:
        ptr = must(reallocarray(NULL, size, 1), size);
        break;
    default:
        ptr = must(malloc(size), size);
    }
    if ((uintptr_t)ptr % alignment != 0)
        fail("misaligned", ptr, size, alignment);
    /* The whole usable size is the object's. */
    size_t usable = malloc_usable_size(ptr);
    if (usable < size)
        fail("usable size below the size", ptr, size, usable);
    fill(ptr, random_below(state, 4) == 0 ? usable : size, aligned, state);
    return ptr;
}

static void release(struct object *object, uint64_t *state)
{
    verify(object);
    size_t size = object->size;
    errno = EXDEV;
#ifndef NH_TEST_GLIBC
    unsigned aligned = (unsigned)(object->seed % ALIGNMENTS);
    if (random_below(state, 4) != 0)
        free(object);
    else if (aligned != 0)
        free_aligned_sized(object, (size_t)1 << aligned, size);
    else
        free_sized(object, size);
#else
    free(object);
#endif
    (void)size, (void)state;
    if (errno != EXDEV)
        fail("free changed errno", object, size, 0);
}

static struct object *resize(struct object *object, uint64_t *state)
{
    size_t size = random_below(state, 2) == 0 ? pick_size(state) : object->size + object->size / 2;
    if (size > max_size)
        size = max_size;
    const struct object *was = object;
    uint64_t seed = object->seed;
    size_t kept = (object->size < size ? object->size : size) - sizeof(*object);
    object = must(realloc(object, size), size);
    verify_as(object, was, seed, kept);
    fill(object, size, 0, state);
    return object;
}

static void step(uint64_t *state, unsigned phase)
{
    _Atomic(struct object *) *slot = &slots[random_below(state, SLOTS)];
    /* Growing threads mostly fill empty slots, shrinking ones empty full ones. */
    size_t dice = random_below(state, 8);
    struct object *given = NULL;
    if (phase == 0 ? dice < 7 : phase == 1 ? dice < 5 : dice < 1)
        given = allocate(state);
    struct object *got = atomic_exchange_explicit(slot, given, memory_order_acq_rel);
    if (got == NULL)
        return;
    if (dice == 0) {
        got = resize(got, state);
        struct object *none = NULL;
        if (atomic_compare_exchange_strong_explicit(slot, &none, got, memory_order_acq_rel,
                                                    memory_order_relaxed))
            return;
    }
    release(got, state);
}

static void *life(void *arg)
{
    uint64_t state = (uint64_t)(uintptr_t)arg;
    /* Objects of the thread's own die with it or are left to others. */
    struct object *own[16] = {NULL};
    long i = 0;
    for (; i < THREAD_STEPS && !atomic_load_explicit(&stop, memory_order_relaxed); i++) {
        step(&state, (unsigned)(i / PHASE_STEPS) % PHASES);
        struct object **mine = &own[random_below(&state, 16)];
        if (*mine != NULL)
            release(*mine, &state);
        *mine = allocate(&state);
        if (random_below(&state, 8192) == 0)
            malloc_trim(random_below(&state, 2) * 1048576);
    }
    for (size_t k = 0; k < 16; k++) {
        struct object *left = own[k];
        if (left != NULL && k % 2 == 0)
            left = atomic_exchange_explicit(&slots[random_below(&state, SLOTS)], left,
                                            memory_order_acq_rel);
        if (left != NULL)
            release(left, &state);
    }
    atomic_fetch_add_explicit(&operations, (uint64_t)i, memory_order_relaxed);
    return NULL;
}

/* One of --threads: lives follow each other, so that threads end all the time. */
static void *keep_alive(void *arg)
{
    uint64_t state = base_seed * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)(uintptr_t)arg;
    for (long n = 0; lives == 0 ? !atomic_load(&stop) : n < lives; n++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, life, (void *)(uintptr_t)(random_next(&state) | 1)) != 0)
            fail("pthread_create failed", NULL, 0, 0);
        pthread_join(thread, NULL);
    }
    return NULL;
}

static void usage(FILE *out)
{
    fputs("usage: stress [--threads N] [--seconds S] [--seed X] [--max-size BYTES]\n\n"
          "Allocates, exchanges, verifies and frees objects in N threads (4) for S\n"
          "seconds (0: a fixed number of operations), of at most BYTES (4194304).\n"
          "Status 0 when all contents were as written; aborts at the first that was not.\n",
          out);
}

static long number(const char *text, const char *option)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text || n < 0) {
        fprintf(stderr, "stress: %s takes a whole number, not '%s'\n", option, text);
        exit(2);
    }
    return n;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    long threads = 4, seconds = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            usage(stdout);
            return 0;
        }
        if (i + 1 == argc) {
            usage(stderr);
            return 2;
        }
        const char *value = argv[++i];
        if (strcmp(argv[i - 1], "--threads") == 0)
            threads = number(value, "--threads");
        else if (strcmp(argv[i - 1], "--seconds") == 0)
            seconds = number(value, "--seconds");
        else if (strcmp(argv[i - 1], "--seed") == 0)
            base_seed = (uint64_t)number(value, "--seed");
        else if (strcmp(argv[i - 1], "--max-size") == 0)
            max_size = (size_t)number(value, "--max-size");
        else {
            usage(stderr);
            return 2;
        }
    }
    if (threads < 1 || threads > 1024 || max_size < 65536) {
        fputs("stress: --threads is 1 to 1024, --max-size at least 65536\n", stderr);
        return 2;
    }
    lives = seconds == 0 ? part_of(MEASURED_LIVES) : 0;

    double begun = now();
    pthread_t *ids = calloc((size_t)threads, sizeof(*ids));
    must(ids, 0);
    for (long i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, keep_alive, (void *)(uintptr_t)i) != 0)
            fail("pthread_create failed", NULL, 0, 0);
    for (long past = 0; past < seconds;) {
        long wait = seconds - past < PROGRESS ? seconds - past : PROGRESS;
        sleep((unsigned)wait);
        past += wait;
        printf("stress: %ld of %ld s, %llu MiB verified\n", past, seconds,
               (unsigned long long)atomic_load(&verified_bytes) >> 20);
        fflush(stdout);
    }
    if (seconds != 0)
        atomic_store(&stop, true);
    for (long i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    free(ids);
    uint64_t state = base_seed | 1;
    for (size_t i = 0; i < SLOTS; i++) {
        struct object *left = atomic_exchange(&slots[i], NULL);
        if (left != NULL)
            release(left, &state);
    }
    printf("stress: %ld threads, %.0f s, %llu operations, %llu MiB verified, 0 errors\n", threads,
           now() - begun, (unsigned long long)atomic_load(&operations),
           (unsigned long long)atomic_load(&verified_bytes) >> 20);
    return 0;
}
