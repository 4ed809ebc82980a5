/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * fork_signal.c - a program with one thread forks in a handler of a signal, which POSIX.1-2008
 * allows anywhere: also within malloc and free, with locks held.  Half of the children end in
 * the handler; the others return from it into what it interrupted, as the parent does, and then
 * verify what there was and allocate anew.
 *
 * usage: fork_signal        when a clock strikes
 *        fork_signal steps  after every so many instructions of malloc, free, realloc and
 *                           malloc_trim (x86-64)
 */
#include "check.h"
#include "lock.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>

#define CHILD_SECONDS 60
#define SMALL         600
#define LARGE         40
#define LARGE_FIRST   20000
#define LARGE_STEP    9000
/* Forks while the engine held a lock; TSan hands out signals only where it holds none. */
#define FORKS_INSIDE   (UNDER_TSAN ? 0 : 20)
#define FORKS          200
#define EVERY_IN_STEPS 6 /* SMALL is a multiple */
/* Bytes of an object that are looked at: the program is to spend its time in malloc. */
#define VERIFIED 64

static volatile sig_atomic_t forks, inside;
static volatile bool is_child;

static void fork_here(void)
{
    int saved = errno;
    unsigned depth = lock_depth;
    pid_t pid = fork();
    CHECK(pid >= 0);
    CHECK(lock_depth == depth);
    if (pid == 0) {
        if (forks % 2 == 0)
            _exit(0);
        alarm(CHILD_SECONDS);
        is_child = true;
    } else {
        int status;
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK(status == 0);
        forks++;
        inside += depth != 0;
    }
    errno = saved;
}

static void on_clock(int number)
{
    (void)number;
    fork_here();
}

static unsigned every = 1; /* of the sizes, how many there are an object of */

static size_t size_of(unsigned i)
{
    return i < SMALL ? 1 + i * 5 : LARGE_FIRST + (i - SMALL) * LARGE_STEP;
}

static size_t verified(unsigned i)
{
    return size_of(i) < VERIFIED ? size_of(i) : VERIFIED;
}

static void *make(unsigned i)
{
    void *made = malloc(size_of(i));
    CHECK(made != NULL);
    fill(made, verified(i));
    return made;
}

/* All at once, so that they go to the central lists and come from there. */
static void churn_all(void *kept[SMALL + LARGE])
{
    for (unsigned i = 0; i < SMALL + LARGE && !is_child; i += every) {
        verify_free(kept[i], verified(i));
        kept[i] = NULL;
    }
    for (unsigned i = 0; i < SMALL + LARGE && !is_child; i += every)
        if (kept[i] == NULL)
            kept[i] = make(i);
}

/* What each process does at last. */
static void verify_all(void *kept[SMALL + LARGE])
{
    for (unsigned i = 0; i < SMALL + LARGE; i += every)
        if (kept[i] != NULL)
            verify_free(kept[i], verified(i));
    for (unsigned i = 0; i < SMALL + LARGE; i += every)
        verify_free(filled(size_of(i)), size_of(i));
    CHECK(malloc_trim(0) >= 0);
    CHECK(lock_depth == 0);
    FILE *stream = tmpfile(); /* its list is locked for forks, too */
    CHECK(stream != NULL && fclose(stream) == 0);
}

#ifdef __x86_64__
#define TRAP_FLAG 0x100 /* of the flags' register: a SIGTRAP after each instruction */

static unsigned long steps, stride;

static void on_step(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info;
    ucontext_t *at = context;
    if (++steps % stride != 0)
        return;
    fork_here();
    if (is_child)
        at->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

static void step(bool on)
{
    unsigned long flags = __builtin_ia32_readeflags_u64();
    __builtin_ia32_writeeflags_u64(on ? flags | TRAP_FLAG : flags & ~(unsigned long)TRAP_FLAG);
}

static void exercise(void *kept[SMALL + LARGE])
{
    churn_all(kept);
    char *object = realloc(kept[SMALL], size_of(SMALL) * 8);
    CHECK(object != NULL);
    fill(object, verified(SMALL)); /* what it says is of where it is */
    kept[SMALL] = object;
    CHECK(malloc_trim(0) >= 0);
}

static void fork_in_steps(void *kept[SMALL + LARGE])
{
    struct sigaction trap = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGTRAP, &trap, NULL) == 0);
    exercise(kept);
    /* How many there are; then as many forks. */
    stride = ULONG_MAX;
    step(true);
    exercise(kept);
    step(false);
    stride = steps / FORKS;
    printf("fork_signal: %lu steps, a fork every %lu\n", steps, stride);
    fflush(stdout);
    CHECK(stride > 0);
    steps = 0;
    step(true);
    exercise(kept);
    if (!is_child)
        step(false);
}
#endif

static void fork_by_clock(void *kept[SMALL + LARGE])
{
    struct sigaction clock = {.sa_handler = on_clock, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGPROF, &clock, NULL) == 0);
    struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_PROF, &often, NULL) == 0);
    while (!is_child && (forks < FORKS || inside < FORKS_INSIDE))
        churn_all(kept);
    CHECK(setitimer(ITIMER_PROF, &never, NULL) == 0);
}

int main(int argc, char **argv)
{
    static void *kept[SMALL + LARGE];
    bool in_steps = argc == 2 && strcmp(argv[1], "steps") == 0;
    if (in_steps)
        every = EVERY_IN_STEPS;
    for (unsigned i = 0; i < SMALL + LARGE; i += every)
        kept[i] = make(i);
    if (in_steps)
#ifdef __x86_64__
        fork_in_steps(kept);
#else
        return SKIPPED;
#endif
    else
        fork_by_clock(kept);
    verify_all(kept);
    if (is_child)
        _exit(0);
    printf("fork_signal: %d forks, %d of them with a lock held\n", (int)forks, (int)inside);
    return 0;
}
