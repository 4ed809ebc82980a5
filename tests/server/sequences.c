/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * sequences.c - signals strike threads in the midst of the restartable sequences of
 * CPUs' caches, which begin anew then, and no object is lost or given out twice.
 *
 * After more threads than have caches of their own, some exchange objects whose
 * contents are verified, until signals have come within sequences often enough: where
 * CPUs have no caches they never do, and the test fails.  A handler sees that it came
 * within one by where the thread goes on: behind the signature of an abort handler.
 */
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#if (defined(__x86_64__) || defined(__aarch64__)) && __has_include(<sys/rseq.h>)
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <ucontext.h>

/* What is enough, and when to give up. */
#define STRUCK_ENOUGH 200
#define SIGNALS_MOST  100000 /* that came: others wait, or one stands for many */

/* The first threads of a process have caches of their own on one node; so many for
 * each CPU are more. */
#define THREADS_PER_CPU 3

/* Threads at a time; a few, so that the one that sends has a CPU soon again. */
#define THREADS 3

#define HELD   16
#define SHARED 64

static _Atomic bool done;
static _Atomic unsigned struck; /* signals within a sequence */
static _Atomic unsigned came;   /* all signals */
static _Atomic(void *) shared[SHARED];

static size_t size_of(size_t i)
{
    return 1 + i * 37 % 64;
}

static void *begin(void *arg)
{
    verify_free(filled(size_of(0)), size_of(0));
    return arg;
}

static void *work(void *arg)
{
    uint32_t seed = (uint32_t)(uintptr_t)arg;
    while (!atomic_load_explicit(&done, memory_order_relaxed)) {
        void *held[HELD];
        for (size_t i = 0; i < HELD; i++)
            held[i] = filled(size_of(i));
        size_t i = random_next32(&seed) % SHARED;
        void *mine = filled(size_of(i));
        void *other = atomic_exchange_explicit(&shared[i], mine, memory_order_acq_rel);
        if (other != NULL)
            verify_free(other, size_of(i));
        for (i = 0; i < HELD; i++)
            verify_free(held[i], size_of(i));
    }
    return NULL;
}

static void strike(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info;
    const mcontext_t *machine = &((const ucontext_t *)context)->uc_mcontext;
#ifdef __x86_64__
    const char *next = (const char *)machine->gregs[REG_RIP];
#else
    const char *next = (const char *)machine->pc;
#endif
    uint32_t before;
    memcpy(&before, next - sizeof(before), sizeof(before));
    if (before == RSEQ_SIG)
        atomic_fetch_add_explicit(&struck, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&came, 1, memory_order_relaxed);
}

/* Sends one, and lets the thread run if it does not. */
static void send(pthread_t thread)
{
    unsigned before = atomic_load_explicit(&came, memory_order_relaxed);
    CHECK(pthread_kill(thread, SIGUSR1) == 0);
    for (int look = 0; look < 1000; look++)
        if (atomic_load_explicit(&came, memory_order_relaxed) != before)
            return;
    sched_yield();
}

/* In ThreadSanitizer's builds there are no sequences (src/rseq.h). */
static bool possible(void)
{
    long known = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    return !UNDER_TSAN && __rseq_size != 0 && known >= 0 &&
           (known & MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ) != 0;
}

int main(void)
{
    if (!possible()) {
        puts("skipped: no restartable sequences here");
        return SKIPPED;
    }
    struct sigaction action = {.sa_sigaction = strike, .sa_flags = SA_SIGINFO | SA_RESTART};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    cpu_set_t set;
    CHECK(sched_getaffinity(0, sizeof(set), &set) == 0);
    pthread_t thread[THREADS];
    for (int i = 0; i < CPU_COUNT(&set) * THREADS_PER_CPU; i++) {
        CHECK(pthread_create(&thread[0], NULL, begin, NULL) == 0);
        CHECK(pthread_join(thread[0], NULL) == 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, work, (void *)(i + 1)) == 0);
    for (unsigned i = 0; atomic_load(&came) < SIGNALS_MOST && atomic_load(&struck) < STRUCK_ENOUGH;
         i++)
        send(thread[i % THREADS]);
    atomic_store(&done, true);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    for (size_t i = 0; i < SHARED; i++)
        if (shared[i] != NULL)
            verify_free(shared[i], size_of(i));
    printf("sequences: %u of %u signals within sequences\n", struck, came);
    CHECK(struck >= STRUCK_ENOUGH);
    return 0;
}

#else
int main(void)
{
    puts("skipped: no restartable sequences for this architecture and C library");
    return SKIPPED;
}
#endif
