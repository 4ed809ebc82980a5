/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * report_file.c - see report_file.h.
 */
#include "report_file.h"

#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATH_MOST 4096
#define STDERR    "1" /* as the place of a report */

/* Reports tell where code and data lie, which other users may not see. */
#define MODE 0600

bool report_file_wanted(const char *where)
{
    return *where != '\0' && strcmp(where, "0") != 0;
}

/* A device or a pipe has no name beside it for a child's. */
static bool is_special(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

bool report_file_path(struct text *path, const char *where)
{
    text_add_path(path, where);
    if (process_is_forked() && strstr(where, "%p") == NULL && !is_special(path->at))
        text_add(path, ".%ld", (long)getpid());
    return !text_is_full(path);
}

int report_file_create(const char *path)
{
    /* A pipe that nobody reads would be waited for, by an exit or a signal's handler. */
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, MODE);
    if (fd >= 0)
        syscall(SYS_fcntl, fd, F_SETFL, 0); /* one that is read may be full for a while */
    return fd;
}

static void complain(const char *where, const char *variable, int error)
{
    char room[LOG_ERROR_ROOM];
    log_line(LOG_ERROR, "cannot write to %s (%s): %s", where, variable, log_error(error, room));
}

int report_file_open(const char *where, const char *variable)
{
    if (strcmp(where, STDERR) == 0)
        return log_stderr();
    char buffer[PATH_MOST];
    struct text path = {.at = buffer, .room = sizeof(buffer)};
    bool fits = report_file_path(&path, where);
    int fd = fits ? report_file_create(buffer) : -1;
    if (fd < 0)
        complain(buffer, variable, fits ? errno : ENAMETOOLONG);
    return fd;
}

void report_file_close(int fd, const char *where, const char *variable, int error)
{
    /* By its number it may be a file, where standard error was closed. */
    if (strcmp(where, STDERR) == 0)
        return;
    if (close(fd) != 0 && error == 0)
        error = errno;
    if (error != 0)
        complain(where, variable, error);
}
