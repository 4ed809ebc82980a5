/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * fork_leave.c - a signal strikes within fork, which may be called in a program with one thread
 * whatever its handlers do, and the handler does not come back: by siglongjmp, after which the
 * process allocates, and a thread of it does, and forks; by exit, which writes what is to be
 * written at exit.
 *
 * usage: fork_leave jump
 *        fork_leave exit FILE   the one that NEARHEAP_STATS names
 */
#include "check.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#define SECONDS   60 /* one that waits for a lock ends by then */
#define JUMPS     20
#define EXITS     5
#define LEAVES    "leaves"           /* the argument of a process that exits in fork */
#define RESIDENT  ((size_t)32 << 20) /* which the kernel takes some time to copy the tables of */
#define TICK_US   3100
#define LARGEST   200000
#define GROWTH(s) ((s) / 8 + 1)

static volatile sig_atomic_t in_fork;
static sigjmp_buf away;

static void jump(int number)
{
    (void)number;
    if (in_fork) {
        in_fork = 0;
        siglongjmp(away, 1);
    }
}

static void leave(int number)
{
    (void)number;
    if (in_fork)
        exit(0);
}

static void fork_once(void)
{
    in_fork = 1;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    in_fork = 0;
    CHECK(child > 0);
}

static void tick(void (*handler)(int), bool on)
{
    struct itimerval often = {{0, TICK_US}, {0, TICK_US}}, never = {{0, 0}, {0, 0}};
    if (on)
        CHECK(signal(SIGALRM, handler) != SIG_ERR);
    CHECK(setitimer(ITIMER_REAL, on ? &often : &never, NULL) == 0);
}

static void *allocates(void *arg)
{
    for (size_t size = 1; size < LARGEST; size += GROWTH(size))
        verify_free(filled(size), size);
    return arg;
}

static void wait_for(pid_t child)
{
    int status;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

/* Ends well only if nothing is locked for ever. */
static void use_all(void)
{
    pthread_t thread;
    CHECK(signal(SIGALRM, SIG_DFL) != SIG_ERR);
    CHECK(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
    alarm(SECONDS);
    allocates(NULL);
    CHECK(pthread_create(&thread, NULL, allocates, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    pid_t child = fork();
    if (child == 0) {
        alarm(SECONDS);
        allocates(NULL);
        _exit(0);
    }
    wait_for(child);
}

static void jump_out(void)
{
    volatile int jumps = 0;
    tick(jump, true);
    while (jumps < JUMPS) {
        if (sigsetjmp(away, 1) != 0)
            jumps++;
        else
            fork_once();
    }
    tick(jump, false);
    use_all();
    printf("fork_leave: %d jumps\n", jumps);
}

static _Noreturn void fork_until_exit(void)
{
    CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR); /* nobody waits for them */
    tick(leave, true);
    for (;;)
        fork_once();
}

static void exit_within(const char *file)
{
    for (int i = 0; i < EXITS; i++) {
        struct stat written;
        (void)remove(file);
        pid_t child = fork();
        if (child == 0) {
            execl("/proc/self/exe", "fork_leave", LEAVES, (char *)NULL);
            _exit(2);
        }
        wait_for(child);
        CHECK(stat(file, &written) == 0 && written.st_size > 0);
    }
    printf("fork_leave: %d exits\n", EXITS);
}

int main(int argc, char **argv)
{
    void *resident = filled(RESIDENT);
    CHECK(argc >= 2);
    if (strcmp(argv[1], LEAVES) == 0)
        fork_until_exit();
    if (strcmp(argv[1], "exit") == 0) {
        CHECK(argc == 3);
        exit_within(argv[2]);
    } else {
        CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR); /* nobody waits for them */
        jump_out();
    }
    verify_free(resident, RESIDENT);
    return 0;
}
