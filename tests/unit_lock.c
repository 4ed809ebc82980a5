/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit_lock.c - the lock excludes, sleeps instead of spinning, loses no wake-up
 * and keeps errno; in debug builds, taking locks out of rank order aborts.
 */
#include "limits.h"
#include "lock.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define THREADS 4

/* An errno that nothing here sets. */
#define UNTOUCHED EXDEV

static struct lock lock;

/* Plain: only the lock keeps threads apart.  Equal while it is free. */
static unsigned long counter, shadow;

struct worker {
    pthread_t thread;
    unsigned rounds;
    bool tries; /* by lock_try */
    unsigned wrong;
    unsigned long got; /* times it had the lock */
};

static void *increments(void *arg)
{
    struct worker *worker = arg;
    errno = UNTOUCHED;
    for (unsigned i = 0; i < worker->rounds; i++) {
        if (!worker->tries) {
            lock_acquire(&lock);
        } else if (!lock_try(&lock)) {
            sched_yield();
            continue;
        }
        if (counter++ != shadow)
            worker->wrong++;
        if (i % 64 == 0)
            sched_yield(); /* so that others find it taken, and sleep */
        shadow++;
        lock_release(&lock);
        worker->got++;
    }
    if (errno != UNTOUCHED)
        worker->wrong++;
    return NULL;
}

static void only_one_at_a_time(void **state)
{
    (void)state;
    struct worker workers[THREADS] = {0};
    lock_init(&lock, LOCK_CENTRAL);
    counter = shadow = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].rounds = 50000;
        workers[i].tries = i == 0;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, increments, &workers[i]), 0);
    }
    unsigned long got = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].wrong, 0);
        if (!workers[i].tries)
            assert_int_equal(workers[i].got, workers[i].rounds);
        got += workers[i].got;
    }
    assert_int_equal(counter, got);
    assert_int_equal(shadow, got);
    assert_int_equal(atomic_load(&lock.word), 0);
}

static void *try_once(void *arg)
{
    bool *got = arg;
    *got = lock_try(&lock);
    if (*got)
        lock_release(&lock);
    return NULL;
}

static bool another_thread_gets_it(void)
{
    pthread_t thread;
    bool got = false;
    assert_int_equal(pthread_create(&thread, NULL, try_once, &got), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return got;
}

static void try_only_when_free(void **state)
{
    (void)state;
    lock_init(&lock, LOCK_CENTRAL);
    assert_true(another_thread_gets_it());
    lock_acquire(&lock);
    assert_false(another_thread_gets_it());
    lock_release(&lock);
    assert_true(lock_try(&lock));
    assert_false(another_thread_gets_it());
    lock_release(&lock);
    assert_true(another_thread_gets_it());

    static struct lock initialised = LOCK_INIT(LOCK_TABLE);
    assert_true(lock_try(&initialised));
    lock_release(&initialised);
}

/* What fork does in a handler that interrupted a holder. */
static void holder_takes_it_again(void **state)
{
    enum { MOST = LOCK_TIMES_MASK / LOCK_TIMES };
    (void)state;
    lock_init(&lock, LOCK_CENTRAL);
    lock_depth += LOCK_INSIDE;
    unsigned depth = lock_depth;
    lock_rank_suspend();
    lock_acquire_again(&lock); /* is free */
    for (unsigned times = 2; times <= MOST; times++) {
        lock_acquire_again(&lock);
        assert_int_equal(lock_depth, depth + times);
        assert_false(another_thread_gets_it());
    }
    for (unsigned times = MOST - 1; times > 0; times--) {
        lock_release_again(&lock);
        assert_int_equal(lock_depth, depth + times);
        assert_false(another_thread_gets_it());
    }
    lock_release_again(&lock);
    lock_rank_resume();
    assert_int_equal(lock_depth, depth);
    lock_depth -= LOCK_INSIDE;
    assert_int_equal(atomic_load(&lock.word), 0);
    assert_true(another_thread_gets_it());
}

static void *takes_it_again(void *arg)
{
    unsigned long rounds = *(unsigned long *)arg;
    lock_rank_suspend(); /* each thread's own, as is the next */
    lock_depth += LOCK_INSIDE;
    for (unsigned long i = 0; i < rounds; i++) {
        lock_acquire(&lock);
        lock_acquire_again(&lock);
        counter++;
        lock_release_again(&lock);
        lock_release_again(&lock);
    }
    return NULL;
}

/* Others come to wait while it is taken once and twice. */
static void others_wait_for_all_of_it(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    unsigned long rounds = 20000;
    lock_init(&lock, LOCK_CENTRAL);
    counter = 0;
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, takes_it_again, &rounds), 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(counter, THREADS * rounds);
    assert_int_equal(atomic_load(&lock.word), 0);
}

/* ---- Owners ---- */

#define PROCESSES 16
#define OWNERS    "owners" /* the argument of a process that looks at its own */

static pthread_barrier_t all_run;

static void *tells_owner(void *arg)
{
    uint32_t *owner = arg;
    *owner = lock_owner();
    pthread_barrier_wait(&all_run);
    return NULL;
}

/* Of threads that run at the same time, the first one with them. */
static bool owners_differ(void)
{
    pthread_t threads[THREADS];
    uint32_t owner[THREADS + 1];
    bool differ = pthread_barrier_init(&all_run, NULL, THREADS + 1) == 0;
    for (unsigned i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, tells_owner, &owner[i]) != 0)
            abort();
    tells_owner(&owner[THREADS]);
    for (unsigned i = 0; i < THREADS; i++)
        differ &= pthread_join(threads[i], NULL) == 0;
    for (unsigned i = 0; i <= THREADS; i++)
        for (unsigned j = 0; j < i; j++)
            differ &= owner[i] != owner[j];
    return differ;
}

/* Where the first thread's own variables lie, next to a stack, is each process's luck. */
static void owners_differ_wherever_they_lie(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PROCESSES; i++) {
        pid_t child = fork();
        if (child == 0) {
            execl("/proc/self/exe", "unit_lock", OWNERS, (char *)NULL);
            _exit(2);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

static double cpu_seconds(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static void *waits(void *arg)
{
    double *used = arg, before = cpu_seconds();
    lock_acquire(&lock);
    *used = cpu_seconds() - before;
    lock_release(&lock);
    return NULL;
}

static void waiters_sleep(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    double used[THREADS];
    lock_init(&lock, LOCK_CENTRAL);
    lock_acquire(&lock);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, waits, &used[i]), 0);
    /* Until one of them sleeps; then a while longer. */
    while ((atomic_load(&lock.word) & LOCK_SLEEPERS) == 0)
        usleep(1000);
    usleep(200000);
    lock_release(&lock);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(used[i] < 0.1);
    }
}

#ifdef NH_DEBUG

static struct lock ranked[LOCK_RANKS];
static struct lock same;

/* Whether `what` ends the process with the message and signal of a failed
 * check; otherwise it must end well. */
static bool is_fatal(void (*what)(enum lock_rank, enum lock_rank), enum lock_rank first,
                     enum lock_rank second)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        what(first, second);
        _exit(0);
    }
    assert_true(child > 0);
    close(ends[1]);
    char text[2 * NH_LINE_MAX];
    size_t length = 0;
    ssize_t n;
    while ((n = read(ends[0], text + length, sizeof(text) - 1 - length)) > 0)
        length += (size_t)n;
    text[length] = '\0';
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        assert_string_equal(text, "");
        return false;
    }
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "nearheap: internal error at "));
    assert_non_null(strstr(text, "lock.c"));
    return true;
}

static void in_order(enum lock_rank first, enum lock_rank second)
{
    lock_acquire(&ranked[first]);
    lock_acquire(first == second ? &same : &ranked[second]);
}

static void in_order_by_try(enum lock_rank first, enum lock_rank second)
{
    lock_acquire(&ranked[first]);
    lock_try(first == second ? &same : &ranked[second]);
}

static void while_suspended(enum lock_rank first, enum lock_rank second)
{
    lock_rank_suspend();
    lock_acquire(&ranked[first]);
    lock_acquire(first == second ? &same : &ranked[second]);
    lock_release(first == second ? &same : &ranked[second]);
    lock_release(&ranked[first]);
    lock_rank_resume();
}

static void after_suspension(enum lock_rank first, enum lock_rank second)
{
    while_suspended(first, second);
    in_order(first, second);
}

static void one_after_the_other(enum lock_rank first, enum lock_rank second)
{
    lock_acquire(&ranked[first]);
    lock_release(&ranked[first]);
    lock_acquire(&ranked[second]);
    lock_release(&ranked[second]);
}

static void release_of_another(enum lock_rank first, enum lock_rank second)
{
    lock_acquire(&ranked[first]);
    lock_release(&ranked[second]);
}

static void all_in_order(enum lock_rank first, enum lock_rank second)
{
    (void)first, (void)second;
    for (int rank = 0; rank < LOCK_RANKS; rank++)
        lock_acquire(&ranked[rank]);
    for (int rank = 0; rank < LOCK_RANKS; rank++)
        lock_release(&ranked[rank]);
}

static void *takes_one(void *arg)
{
    lock_acquire(arg);
    lock_release(arg);
    return NULL;
}

/* What one thread holds does not bind another. */
static void in_another_thread(enum lock_rank first, enum lock_rank second)
{
    pthread_t thread;
    lock_acquire(&ranked[first]);
    if (pthread_create(&thread, NULL, takes_one, &ranked[second]) == 0)
        pthread_join(thread, NULL);
    lock_release(&ranked[first]);
}

static void rank_order_is_enforced(void **state)
{
    (void)state;
    for (int rank = 0; rank < LOCK_RANKS; rank++)
        lock_init(&ranked[rank], (enum lock_rank)rank);
    assert_false(is_fatal(all_in_order, LOCK_HEAPS, LOCK_HEAPS));
    for (int a = 0; a < LOCK_RANKS; a++)
        for (int b = 0; b < LOCK_RANKS; b++) {
            enum lock_rank first = (enum lock_rank)a, second = (enum lock_rank)b;
            lock_init(&same, first);
            assert_int_equal(is_fatal(in_order, first, second), first >= second);
            assert_int_equal(is_fatal(in_order_by_try, first, second), first >= second);
            assert_int_equal(is_fatal(after_suspension, first, second), first >= second);
            assert_int_equal(is_fatal(release_of_another, first, second), first != second);
            assert_false(is_fatal(while_suspended, first, second));
            assert_false(is_fatal(one_after_the_other, first, second));
        }
    assert_false(is_fatal(in_another_thread, LOCK_TABLE, LOCK_HEAPS));
}

#endif

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], OWNERS) == 0)
        return owners_differ() ? 0 : 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_one_at_a_time),     cmocka_unit_test(try_only_when_free),
        cmocka_unit_test(holder_takes_it_again),  cmocka_unit_test(others_wait_for_all_of_it),
        cmocka_unit_test(waiters_sleep),          cmocka_unit_test(owners_differ_wherever_they_lie),
#ifdef NH_DEBUG
        cmocka_unit_test(rank_order_is_enforced),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
