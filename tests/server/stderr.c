/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * stderr.c - what the library's own lines do to a program that has other things in mind for its
 * standard error: no signal is raised by a pipe that nobody reads or a full file, and nothing is
 * written where descriptor 2 has become a file or a connection that the program works with.
 *
 * With NEARHEAP_BAD_FREE=report.
 */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LINE_LEAST 20
#define FILE_MOST  7 /* bytes */

/* A line; sanitizers and compilers are not to see what is freed. */
static void say(void)
{
    static char nobodys[64];
    void *volatile at = nobodys + 16;
    free(at);
}

static int saved; /* standard error */

static void replace(int fd)
{
    CHECK(fd >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO && close(fd) == 0);
}

static void restore(void)
{
    CHECK(dup2(saved, STDERR_FILENO) == STDERR_FILENO);
}

static int temporary(int flags)
{
    char name[] = "stderr_XXXXXX";
    int made = mkstemp(name);
    int fd = open(name, flags);
    CHECK(made >= 0 && fd >= 0 && close(made) == 0 && unlink(name) == 0);
    return fd;
}

/* What a line makes of a file as descriptor 2. */
static off_t said_to(int flags)
{
    struct stat now;
    replace(temporary(flags));
    say();
    CHECK(fstat(STDERR_FILENO, &now) == 0);
    restore();
    return now.st_size;
}

static bool is_pending(int number)
{
    sigset_t pending;
    CHECK(sigpending(&pending) == 0);
    return sigismember(&pending, number) == 1;
}

static void a_pipe_that_nobody_reads(void)
{
    int ends[2];
    CHECK(pipe(ends) == 0 && close(ends[0]) == 0);
    replace(ends[1]);
    say();
    CHECK(!is_pending(SIGPIPE));
    /* Nor does it wait until the program takes signals again. */
    sigset_t all, before;
    sigfillset(&all);
    CHECK(sigprocmask(SIG_SETMASK, &all, &before) == 0);
    say();
    CHECK(!is_pending(SIGPIPE));
    /* What did wait does so still. */
    CHECK(raise(SIGPIPE) == 0);
    say();
    CHECK(is_pending(SIGPIPE));
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR); /* which takes it back */
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    CHECK(sigprocmask(SIG_SETMASK, &before, NULL) == 0);
    restore();
    /* The program's own still raises it. */
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (pipe(ends) == 0 && close(ends[0]) == 0)
            (void)!write(ends[1], "x", 1);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

static void a_full_file(void)
{
    struct rlimit before, limit;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    limit = before;
    limit.rlim_cur = FILE_MOST;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    off_t size = said_to(O_WRONLY);
    CHECK(!is_pending(SIGXFSZ));
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(size == FILE_MOST);
}

static void a_connection(void)
{
    int ends[2];
    char byte;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    replace(ends[0]);
    say();
    CHECK(recv(ends[1], &byte, 1, MSG_DONTWAIT) == -1);
    restore();
    CHECK(close(ends[1]) == 0);
}

int main(void)
{
    saved = dup(STDERR_FILENO);
    CHECK(saved >= 0);
    a_pipe_that_nobody_reads();
    CHECK(said_to(O_WRONLY | O_APPEND) > LINE_LEAST); /* a log */
    CHECK(said_to(O_WRONLY) > LINE_LEAST);
    CHECK(said_to(O_RDWR) == 0); /* data */
    a_full_file();
    a_connection();
    CHECK(close(STDERR_FILENO) == 0);
    say();
    restore();
    say(); /* as at first */
    return 0;
}
