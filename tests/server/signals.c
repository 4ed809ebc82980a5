/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * signals.c - allocation in signal handlers, where glibc lets a program do it: a fault
 * that the program's own access causes, and a profiler's clock that strikes while the
 * thread is not in malloc.  Nothing stops, and every object is whole.
 */
#include "check.h"
#include "part.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/time.h>

#define THREADS 3
#define FAULTS  (UNDER_TSAN ? 100 : 2000) /* of each thread */
#define STRIKES 200                       /* of the clock, with allocation */
#define ROUNDS  400000                    /* of each thread, when the clock is enough */
#define KEPT    64

/* A page that the thread may not touch until its handler has allowed it. */
static _Thread_local char *page;
static _Thread_local bool volatile in_malloc;
static _Thread_local uint32_t handler_random = 5;
static size_t page_size;
static _Atomic unsigned struck;

/* What a handler makes of its signal: a report, say. */
static void allocate_some(void)
{
    for (int i = 0; i < 20; i++) {
        size_t size = 1 + random_next32(&handler_random) % (i == 0 ? 200000 : 3000);
        void *at = filled(size);
        verify(at, size);
        at = realloc(at, size + 100);
        CHECK(at != NULL);
        free(at);
    }
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    CHECK(info->si_addr == page && !in_malloc);
    in_malloc = true;
    allocate_some();
    in_malloc = false;
    CHECK(mprotect(page, page_size, PROT_READ | PROT_WRITE) == 0);
}

static void on_clock(int number)
{
    (void)number;
    if (in_malloc)
        return;
    in_malloc = true;
    allocate_some();
    in_malloc = false;
    atomic_fetch_add_explicit(&struck, 1, memory_order_relaxed);
}

static void churn(void *kept[KEPT], size_t sizes[KEPT], uint32_t *random)
{
    size_t i = random_next32(random) % KEPT;
    in_malloc = true;
    if (kept[i] != NULL)
        verify_free(kept[i], sizes[i]);
    sizes[i] = 1 + random_next32(random) % 4000;
    kept[i] = malloc(sizes[i]);
    CHECK(kept[i] != NULL);
    in_malloc = false;
    fill(kept[i], sizes[i]);
}

static void *work(void *arg)
{
    uint32_t random = (uint32_t)(uintptr_t)arg;
    void *kept[KEPT] = {NULL};
    size_t sizes[KEPT] = {0};
    page = mmap(NULL, page_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    const int faults = part_of(FAULTS);
    for (int i = 0; i < faults; i++) {
        churn(kept, sizes, &random);
        *(char volatile *)page = 1;
        CHECK(mprotect(page, page_size, PROT_NONE) == 0);
    }
    const unsigned strikes = (unsigned)part_of(STRIKES);
    for (int i = 0; i < ROUNDS && atomic_load_explicit(&struck, memory_order_relaxed) < strikes;
         i++)
        churn(kept, sizes, &random);
    in_malloc = true;
    for (size_t i = 0; i < KEPT; i++)
        if (kept[i] != NULL)
            verify_free(kept[i], sizes[i]);
    CHECK(munmap(page, page_size) == 0);
    return NULL; /* and stays "in malloc" until it has ended */
}

int main(void)
{
    page_size = (size_t)sysconf(_SC_PAGESIZE);
    in_malloc = true; /* also while it makes threads */
    struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    struct sigaction clock = {.sa_handler = on_clock, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGSEGV, &fault, NULL) == 0);
    CHECK(sigaction(SIGPROF, &clock, NULL) == 0);
    /* A millisecond of the process's time; whoever runs is struck. */
    struct itimerval every = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
    CHECK(setitimer(ITIMER_PROF, &every, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(setitimer(ITIMER_PROF, &never, NULL) == 0);
    printf("signals: %d faults, the clock struck %u times\n", THREADS * part_of(FAULTS), struck);
    CHECK(struck != 0);
    return 0;
}
