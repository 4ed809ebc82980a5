/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * read_file.c - see read_file.h.
 */
#include "numa/read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* System calls themselves: the C library's functions are cancellation points,
 * and a thread must not end inside malloc. */
long read_file(const char *path, char *text, size_t room)
{
    int saved = errno;
    long n = -1;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = syscall(SYS_read, fd, text, room - 1);
        syscall(SYS_close, fd);
    }
    text[n > 0 ? n : 0] = '\0';
    errno = saved;
    return n;
}
