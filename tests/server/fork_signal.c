/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * fork_signal.c - a program with one thread forks in a handler of a signal, which POSIX.1-2008
 * allows anywhere: also within malloc and free, with locks held.  Half of the children end in
 * the handler; the others return from it into what it interrupted, as the parent does, and then
 * verify what there was and allocate anew.
 */
#include "check.h"
#include "lock.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/time.h>
#include <sys/wait.h>

#define CHILD_SECONDS 60
#define SMALL         600
#define LARGE         40
#define LARGE_FIRST   20000
#define LARGE_STEP    9000
/* Forks while the engine held a lock; TSan hands out signals only where it holds none. */
#define FORKS_INSIDE (UNDER_TSAN ? 0 : 20)
#define FORKS        200
/* Bytes of an object that are looked at: the program is to spend its time in malloc. */
#define VERIFIED 64

static volatile sig_atomic_t forks, inside;
static volatile bool is_child;

static void on_clock(int number)
{
    (void)number;
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
    for (unsigned i = 0; i < SMALL + LARGE && !is_child; i++) {
        verify_free(kept[i], verified(i));
        kept[i] = NULL;
    }
    for (unsigned i = 0; i < SMALL + LARGE && !is_child; i++)
        if (kept[i] == NULL)
            kept[i] = make(i);
}

int main(void)
{
    static void *kept[SMALL + LARGE];
    for (unsigned i = 0; i < SMALL + LARGE; i++)
        kept[i] = make(i);
    struct sigaction clock = {.sa_handler = on_clock, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGPROF, &clock, NULL) == 0);
    struct itimerval every = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_PROF, &every, NULL) == 0);
    while (!is_child && (forks < FORKS || inside < FORKS_INSIDE))
        churn_all(kept);
    CHECK(setitimer(ITIMER_PROF, &never, NULL) == 0);
    for (unsigned i = 0; i < SMALL + LARGE; i++)
        if (kept[i] != NULL)
            verify_free(kept[i], verified(i));
    for (unsigned i = 0; i < SMALL + LARGE; i++)
        verify_free(filled(size_of(i)), size_of(i));
    CHECK(lock_depth == 0);
    if (is_child)
        _exit(0);
    printf("fork_signal: %d forks, %d of them with a lock held\n", (int)forks, (int)inside);
    return 0;
}
