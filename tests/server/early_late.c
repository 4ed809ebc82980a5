/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * early_late.c - malloc before every constructor, and free after every exit
 * handler.  Objects of each stage live until the last one.
 *
 * The stages, in the order in which they come:
 *   .preinit_array of the program, before the constructors of its libraries
 *   the constructor of early_late_library.c, with the highest priority
 *   constructors of the program, main, exit handlers, destructors
 *   the destructor of early_late_library.c
 */
#include "check.h"
#include "nearheap.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>

/* Weak, so that the same program runs with glibc alone; then it asks nothing. */
#pragma weak nh_node_of
#pragma weak nh_stats_read

enum stage { PREINIT, FIRST, CONSTRUCTOR, IN_MAIN, HANDLER, STAGES };
#define OBJECTS 64

static void *objects[STAGES][OBJECTS];

static size_t size_of(int stage, int i)
{
    return (size_t)(1 + (stage + 1) * i * i * 11); /* to 200 KiB */
}

static void allocate(enum stage stage)
{
    for (int i = 0; i < OBJECTS; i++) {
        objects[stage][i] = filled(size_of((int)stage, i));
        CHECK(nh_node_of == NULL || nh_node_of(objects[stage][i]) >= 0);
    }
}

/* Odd objects of a stage go early, even ones last. */
static void release(enum stage stage, int parity)
{
    for (int i = parity; i < OBJECTS; i += 2)
        verify_free(objects[stage][i], size_of((int)stage, i));
}

static void preinit(void)
{
    allocate(PREINIT);
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit_entry)(void) = preinit;

__attribute__((constructor(101))) static void first(void)
{
    release(PREINIT, 1);
    allocate(FIRST);
}

__attribute__((constructor)) static void constructor(void)
{
    release(FIRST, 1);
    allocate(CONSTRUCTOR);
}

static void handler(void)
{
    release(IN_MAIN, 1);
    allocate(HANDLER);
}

__attribute__((destructor(101))) static void last(void)
{
    release(HANDLER, 1);
    for (int stage = 0; stage < STAGES; stage++)
        release((enum stage)stage, 0);
    free(filled(3000000));
}

int early_late_library_works(void);

/* ---- Whose caches: this thread, which allocated before all else, is no exception ---- */

/* More than may have caches of their own where CPUs can have them. */
#define THREADS_OF(cpus) (2 * (cpus) + 2)

static pthread_barrier_t all_begun, all_allocated, all_counted;

/* Past the fast paths. */
static void allocate_slowly(void)
{
    verify_free(filled((size_t)1 << 20), (size_t)1 << 20);
}

static void *allocate_on_cpu(void *arg)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)(uintptr_t)arg, &set);
    CHECK(pthread_setaffinity_np(pthread_self(), sizeof(set), &set) == 0);
    verify_free(filled(100), 100);
    pthread_barrier_wait(&all_begun);
    allocate_slowly();
    pthread_barrier_wait(&all_allocated);
    pthread_barrier_wait(&all_counted);
    return NULL;
}

/* CPUs have caches, or all threads alive do, more than there are CPUs. */
static void count_caches(void)
{
    cpu_set_t allowed;
    CHECK(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
    unsigned cpus = (unsigned)CPU_COUNT(&allowed), threads = THREADS_OF(cpus);
    pthread_t *thread = malloc(threads * sizeof(*thread));
    CHECK(pthread_barrier_init(&all_begun, NULL, threads + 1) == 0);
    CHECK(pthread_barrier_init(&all_allocated, NULL, threads + 1) == 0);
    CHECK(pthread_barrier_init(&all_counted, NULL, threads + 1) == 0);
    size_t cpu = 0;
    for (unsigned i = 0; i < threads; i++) {
        while (!CPU_ISSET(cpu % CPU_SETSIZE, &allowed))
            cpu++;
        CHECK(pthread_create(&thread[i], NULL, allocate_on_cpu,
                             (void *)(uintptr_t)(cpu++ % CPU_SETSIZE)) == 0);
    }
    pthread_barrier_wait(&all_begun);
    allocate_slowly();
    pthread_barrier_wait(&all_allocated);
    struct nh_stats stats = {.struct_size = sizeof(stats)};
    CHECK(nh_stats_read(&stats) == 0);
    printf("%u CPUs, %u threads, %u caches\n", cpus, threads + 1, (unsigned)stats.caches);
    CHECK(stats.caches <= cpus || stats.caches == threads + 1);
    pthread_barrier_wait(&all_counted);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    free(thread);
}

int main(void)
{
    if (nh_stats_read != NULL)
        count_caches();
    release(CONSTRUCTOR, 1);
    allocate(IN_MAIN);
    CHECK(atexit(handler) == 0);
    CHECK(early_late_library_works());
    return 0;
}
