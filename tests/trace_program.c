/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * trace_program.c - calls malloc and its kin a known number of times, with sizes
 * that nobody else asks for, and ends as it is told: trace_test.py counts them in
 * the trace.
 *
 *     trace_program exit | _exit | kill
 *
 * First it takes its own place by exec, as shells do with a command's.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <malloc.h>

/* What trace_test.py expects: counts and sizes, in bytes. */
#define PAIRS         1000
#define PAIR_SIZE     1009
#define HANDED        300 /* made by one thread, freed by another */
#define HANDED_SIZE   1013
#define CHILD_OBJECTS 77 /* by a child, so not recorded */
#define CHILD_SIZE    1021
#define SWAPS         20000 /* by each of SWAPPERS threads */
#define SWAPPERS      3
#define SWAP_SIZE     1031
#define LEFT          9 /* never freed */
#define LEFT_SIZE     1033
#define GROWN_FIRST   2003 /* realloc from here, a byte more each time */
#define GROWN_STEPS   100
#define CALLOC_COUNT  7
#define CALLOC_SIZE   157
#define NULL_REALLOC  1049 /* realloc of NULL */

static void *handed[HANDED];
static _Atomic(void *) slots[4]; /* acq_rel: who gets an object sees what its maker wrote */

static void *keep(void *object)
{
    if (object == NULL)
        abort();
    memset(object, 1, sizeof(uint64_t));
    return object;
}

static void *make_handed(void *argument)
{
    for (size_t i = 0; i < HANDED; i++)
        handed[i] = keep(malloc(HANDED_SIZE));
    return argument;
}

/* Addresses wander between threads as fast as they can, and are used again. */
static void *swap(void *argument)
{
    for (size_t i = 0; i < SWAPS; i++) {
        void *object = keep(malloc(SWAP_SIZE));
        if (i % 2 == 1) /* moves it, now and then */
            object = keep(realloc(object, SWAP_SIZE * 3));
        free(atomic_exchange_explicit(&slots[i % (sizeof slots / sizeof *slots)], object,
                                      memory_order_acq_rel));
    }
    return argument;
}

static void run_threads(void *(*function)(void *), size_t count)
{
    pthread_t threads[SWAPPERS];
    for (size_t i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, function, NULL) != 0)
            abort();
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static void call_each(void)
{
    volatile size_t impossible = SIZE_MAX / 2;
    void *aligned;

    for (size_t i = 0; i < PAIRS; i++)
        free(keep(malloc(PAIR_SIZE)));
    free(keep(calloc(CALLOC_COUNT, CALLOC_SIZE)));
    free(keep(realloc(NULL, NULL_REALLOC)));
    free(NULL);

    void *grown = keep(malloc(GROWN_FIRST));
    for (size_t i = 1; i <= GROWN_STEPS; i++) {
        if (realloc(grown, impossible) != NULL) /* fails: it stays as it is */
            abort();
        grown = keep(realloc(grown, GROWN_FIRST + i));
    }
    if (realloc(grown, 0) != NULL) /* glibc: a free */
        abort();

    if (posix_memalign(&aligned, 64, 1061) != 0)
        abort();
    free(keep(aligned));
    free(keep(aligned_alloc(128, 1152)));
    free(keep(memalign(256, 1063)));
}

int main(int argc, char **argv)
{
    if (argc == 2) {
        free(keep(malloc(CHILD_SIZE))); /* of a program that is gone: not in the trace */
        execl("/proc/self/exe", argv[0], argv[1], "again", (char *)NULL);
    }
    if (argc != 3)
        return 1;
    call_each();
    for (size_t i = 0; i < LEFT; i++)
        keep(malloc(LEFT_SIZE));

    pid_t child = fork();
    if (child == 0) {
        for (size_t i = 0; i < CHILD_OBJECTS; i++)
            free(keep(malloc(CHILD_SIZE)));
        /* Another program that must not take the file over. */
        execl("/bin/sh", "sh", "-c", "true", (char *)NULL);
        _exit(1);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        return 1;

    run_threads(make_handed, 1);
    for (size_t i = 0; i < HANDED; i++)
        free(handed[i]);
    run_threads(swap, SWAPPERS);
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
        free(atomic_load_explicit(&slots[i], memory_order_acquire));

    if (strcmp(argv[1], "_exit") == 0)
        _exit(3);
    if (strcmp(argv[1], "kill") == 0)
        raise(SIGTERM);
    return 3;
}
