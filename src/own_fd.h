/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * own_fd.h - a descriptor that the library keeps open beside the program, which may close it
 * (daemons close all they did not open), so that its number may be another file's by now.
 *
 * Pure but for fstat; by one thread at a time.
 */
#ifndef NH_OWN_FD_H
#define NH_OWN_FD_H

#include "base.h"

#include <errno.h>
#include <sys/stat.h>

struct own_fd {
    int fd; /* negative: none; and before it is first set, where there is no such inode */
    dev_t device;
    ino_t inode;
};

/* False where it cannot be told from other files later (errno); *out is as it was then. */
NH_INLINE bool own_fd_note(int fd, struct own_fd *out)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0)
        return false;
    *out = (struct own_fd){.fd = fd, .device = stat.st_dev, .inode = stat.st_ino};
    return true;
}

/* Whether it is the file it was.  One that is open and cannot be looked at is taken for that. */
NH_INLINE bool own_fd_is(const struct own_fd *it)
{
    struct stat stat;
    if (it->fd < 0)
        return false;
    if (fstat(it->fd, &stat) != 0)
        return errno != EBADF;
    return stat.st_dev == it->device && stat.st_ino == it->inode;
}

#endif
