/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * read_file.c - see read_file.h.
 */
#include "numa/read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* System calls themselves: the C library's functions are cancellation points,
 * and a thread must not end inside malloc. */
static int open_file(const char *path)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
}

long read_file(const char *path, char *text, size_t room)
{
    int saved = errno;
    long n = -1;
    int fd = open_file(path);
    if (fd >= 0) {
        n = syscall(SYS_read, fd, text, room - 1);
        syscall(SYS_close, fd);
    }
    text[n > 0 ? n : 0] = '\0';
    errno = saved;
    return n;
}

/* Leaves what begins with `name`, or the end, in which its beginning may lie. */
static long skip_to(const char *name, char *text, long used)
{
    text[used] = '\0';
    const char *at = strstr(text, name);
    long kept = (long)strlen(name) - 1;
    if (at == NULL)
        at = used > kept ? text + used - kept : text;
    used -= at - text;
    memmove(text, at, (size_t)used);
    return used;
}

long read_file_from(const char *path, const char *name, char *text, size_t room)
{
    int saved = errno;
    long used = 0, n = -1;
    int fd = open_file(path);
    while (fd >= 0 && (n = syscall(SYS_read, fd, text + used, room - 1 - (size_t)used)) > 0)
        used = skip_to(name, text, used + n);
    if (fd >= 0)
        syscall(SYS_close, fd);
    text[used] = '\0';
    errno = saved;
    return n == 0 && strncmp(text, name, strlen(name)) == 0 ? used : -1;
}
