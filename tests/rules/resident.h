/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * resident.h - memory that is resident now, for C and C++: what was not freed shows there,
 * whichever malloc it is, and whatever was resident before, where a peak would hide it.
 */
#ifndef NH_TEST_RESIDENT_H
#define NH_TEST_RESIDENT_H

#include "../sanitizers.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* As much is written to and freed by whoever asks whether it is free, and as much may be kept
 * of it: by caches, a quarantine, and the kernel's counters, which each CPU adds to now and
 * then. */
#if UNDER_TSAN /* which has memory of its own for each byte, and is slow */
#define RESIDENT_MUCH ((size_t)1 << 20)
#else
#define RESIDENT_MUCH ((size_t)32 << 20)
#endif
#define RESIDENT_KEPT (RESIDENT_MUCH / 2)

/* The sizes of a small, a medium and a large object. */
static const size_t resident_sizes[] = {1000, 20000, 1000000};

/* In bytes; allocates nothing. */
static inline size_t resident_bytes(void)
{
    char text[128]; /* all pages of address space, those that are resident, and more */
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t length = read(file, text, sizeof(text) - 1);
    if (length <= 0) {
        perror("/proc/self/statm");
        abort();
    }
    close(file);
    text[length] = '\0';
    char *at;
    strtoul(text, &at, 10);
    return (size_t)strtoul(at, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

#endif
