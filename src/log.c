/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * log.c - see log.h.  vsnprintf with integer and plain string conversions
 * does not allocate in glibc.
 */
#include "log.h"

#include "limits.h"
#include "options.h"
#include "own_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_A_MS 1000000L

static void text_add_va(struct text *text, const char *format, va_list args)
{
    if (text_is_full(text))
        return;
    int saved = errno; /* it may be free that says something */
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): both callers start it */
    int n = vsnprintf(text->at + text->used, text->room - text->used, format, args);
    if (n < 0)
        text->at[text->used] = '\0'; /* as it was before */
    else
        text->used += (size_t)n;
    if (text->used >= text->room)
        text->used = text->room - 1;
    errno = saved;
}

void text_add(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_add_va(text, format, args);
    va_end(args);
}

static void text_add_char(struct text *text, char c)
{
    if (text_is_full(text))
        return;
    text->at[text->used++] = c;
    text->at[text->used] = '\0';
}

void text_add_path(struct text *text, const char *pattern)
{
    for (const char *at = pattern; *at != '\0'; at++) {
        if (at[0] == '%' && at[1] == 'p') {
            text_add(text, "%ld", (long)getpid());
            at++;
        } else {
            text_add_char(text, *at);
        }
    }
}

/* Of a kernel's set of signals. */
#define SIGNAL_SET_BYTES 8

/* Signals that a write raises in its thread, and the error it returns then. */
static const struct {
    int number, error;
} raised[] = {{SIGPIPE, EPIPE}, {SIGXFSZ, EFBIG}};

struct quiet {
    sigset_t before;  /* what was blocked */
    sigset_t pending; /* and waited already */
};

/* The program never wrote here, and has no reason to expect them.  False where they cannot be
 * blocked. */
static bool block_raised(struct quiet *quiet)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof raised / sizeof raised[0]; i++)
        sigaddset(&set, raised[i].number);
    bool told = sigpending(&quiet->pending) == 0;
    if (pthread_sigmask(SIG_BLOCK, &set, &quiet->before) != 0)
        return false;
    if (!told) /* what was not blocked did not wait */
        quiet->pending = quiet->before;
    return true;
}

/* What the error raised is taken out first; one that waited before is the program's. */
static void unblock_raised(const struct quiet *quiet, int error)
{
    static const struct timespec at_once;
    for (size_t i = 0; i < sizeof raised / sizeof raised[0]; i++) {
        sigset_t set;
        if (error != raised[i].error || sigismember(&quiet->pending, raised[i].number) == 1)
            continue;
        sigemptyset(&set);
        sigaddset(&set, raised[i].number);
        /* Not the function, which is a cancellation point. */
        (void)syscall(SYS_rt_sigtimedwait, &set, NULL, &at_once, SIGNAL_SET_BYTES);
    }
    (void)pthread_sigmask(SIG_SETMASK, &quiet->before, NULL);
}

static int write_all(int fd, const char *at, size_t length)
{
    while (length > 0) {
        /* Not write(): malloc is no cancellation point. */
        ssize_t n = syscall(SYS_write, fd, at, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        at += n;
        length -= (size_t)n;
    }
    return 0;
}

int log_write_all(int fd, const char *at, size_t length)
{
    struct quiet quiet;
    bool blocked = block_raised(&quiet);
    int error = write_all(fd, at, length);
    if (blocked)
        unblock_raised(&quiet, error);
    return error;
}

const char *log_error(int error, char room[LOG_ERROR_ROOM])
{
    static const struct {
        int number;
        const char *words;
    } common[] = {
        {EACCES, "permission denied"},
        {EAGAIN, "refused for now, perhaps by a limit"},
        {EBADF, "no such open file"},
        {EDQUOT, "the quota is used up"},
        {EFBIG, "the file is too large"},
        {EINVAL, "invalid argument"},
        {EIO, "input or output failed"},
        {EISDIR, "is a folder"},
        {ELOOP, "too many symbolic links"},
        {EMFILE, "too many open files in the process"},
        {ENAMETOOLONG, "the name is too long"},
        {ENFILE, "too many open files in the system"},
        {ENOENT, "no such file or folder"},
        {ENOMEM, "no memory"},
        {ENOSPC, "no space left"},
        {ENOTDIR, "not a folder"},
        {ENXIO, "a pipe that nobody reads, or no such device"},
        {EPERM, "not permitted"},
        {EROFS, "read-only file system"},
    };
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
        if (common[i].number == error)
            return common[i].words;
    struct text text = {.at = room, .room = LOG_ERROR_ROOM};
    text_add(&text, "error %d", error);
    return room;
}

/* As `date +%s.%N` tells it, so that it can be compared with what else happened. */
static void text_add_time(struct text *text)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    text_add(text, "%lld.%03ld ", (long long)now.tv_sec, now.tv_nsec / NS_A_MS);
}

static NH_TOGETHER struct own_fd at_boot = {.fd = -1}; /* constant after boot */

void log_boot(void)
{
    (void)own_fd_note(STDERR_FILENO, &at_boot);
}

/* Daemons close it, and what they open next gets its number: their data, or a connection.  Logs,
 * to which servers lead it, are written only. */
int log_stderr(void)
{
    long flags = syscall(SYS_fcntl, STDERR_FILENO, F_GETFL);
    if (flags < 0)
        return errno == EBADF ? -1 : STDERR_FILENO;
    bool meant = (flags & O_ACCMODE) == O_WRONLY || own_fd_is(&at_boot);
    return meant ? STDERR_FILENO : -1;
}

void log_line(enum log_level level, const char *format, ...)
{
    if ((long)level > options_get(OPT_VERBOSE))
        return;
    int saved = errno;
    char line[NH_LINE_MAX];
    /* One byte is kept back for the newline of a line that was cut. */
    struct text text = {.at = line, .room = sizeof(line) - 1, .used = 0};
    va_list args;
    va_start(args, format);
    text_add(&text, "nearheap: ");
    if (level >= LOG_TRACE)
        text_add_time(&text);
    text_add_va(&text, format, args);
    va_end(args);
    line[text.used++] = '\n';
    int fd = log_stderr();
    if (fd >= 0)
        (void)log_write_all(fd, line, text.used);
    errno = saved;
}

void nh_check_failed(const char *file, int line, const char *what)
{
    log_line(LOG_ERROR, "internal error at %s:%d: not (%s)", file, line, what);
    abort();
}
