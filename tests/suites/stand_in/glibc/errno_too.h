// SPDX-License-Identifier: LGPL-2.1-or-later
//
// glibc's tests look for posix_memalign's error in errno, too, where the manual page says that
// it is not set.
#pragma once
#include <errno.h>
#include <stdlib.h>

static inline int posix_memalign_errno_too(void **to, size_t alignment, size_t size)
{
    int error = posix_memalign(to, alignment, size);
    if (error)
        errno = error;
    return error;
}
#define posix_memalign posix_memalign_errno_too
