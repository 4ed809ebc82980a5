/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * output.h - a tool's standard output: what cannot be written there is an error, also where
 * the tool was started without one.  command.py is the same for those in Python.
 *
 * By main alone, first.
 */
#ifndef NH_OUTPUT_H
#define NH_OUTPUT_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    const char *tool;
    int status;
} output_of;

/* At exit: what the stream holds still goes out now; it holds what failed before, too. */
static inline void output_end(void)
{
    bool failed = ferror(stdout) != 0;
    errno = EIO;
    if (fflush(stdout) == 0 && !failed)
        return;
    fprintf(stderr, "%s: cannot write: %s\n", output_of.tool, strerror(errno));
    _exit(output_of.status);
}

/* `status` is what the tool ends with then. */
static inline void output_begin(const char *tool, int status)
{
    output_of.tool = tool;
    output_of.status = status;
    /* A descriptor that is closed would be the next file's or socket's; so it is one that fails
     * as if it were closed. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
    (void)atexit(output_end);
}

#endif
