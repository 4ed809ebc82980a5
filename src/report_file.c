/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * report_file.c - see report_file.h.
 */
#include "report_file.h"

#include "log.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PATH_MOST 4096

bool report_file_wanted(const char *where)
{
    return *where != '\0' && strcmp(where, "0") != 0;
}

int report_file_open(const char *where, const char *variable)
{
    if (strcmp(where, "1") == 0)
        return STDERR_FILENO;
    char buffer[PATH_MOST];
    struct text path = {.at = buffer, .room = sizeof(buffer)};
    text_add_path(&path, where);
    int fd =
        text_is_full(&path) ? -1 : open(buffer, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        log_line(LOG_ERROR, "cannot write to %s (%s)", buffer, variable);
    return fd;
}

void report_file_close(int fd)
{
    if (fd != STDERR_FILENO)
        close(fd);
}
