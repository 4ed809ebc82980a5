/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * ctl_report.c - see ctl_report.h.
 */
#include "ctl_report.h"

#include "control_path.h"
#include "ctl_end.h"
#include "log.h"
#include "printable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BYTES  65536
#define OUTPUT_MODE 0600
/* One that is longer cannot be opened again. */
#define FILE_PATH_ROOM 4096

/* Left as it is until there is a report: the process may refuse. */
static int open_output(const char *path)
{
    if (path == NULL)
        return STDOUT_FILENO;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, OUTPUT_MODE);
    if (fd < 0)
        ctl_end(STATUS_REFUSED, "%s: %s", path, strerror(errno));
    return fd;
}

/* A file without a name in the folder of one that is open; negative if none can be made. */
static int open_beside(int output)
{
    char link[CONTROL_PATH_ROOM], path[FILE_PATH_ROOM];
    snprintf(link, sizeof link, "/proc/self/fd/%d", output);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return -1;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        return -1;
    slash[slash == path] = '\0'; /* the root's name is its slash */
    return open(path, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, OUTPUT_MODE);
}

/* For the process to write to, a regular file, which it demands.  Where the report goes to one
 * it is a file, too, if the process is ours: of a large heap's dump memory would be much, and
 * count as the process's. */
static int open_scratch(int output, bool ours)
{
    struct stat stat;
    int fd = -1;
    if (ours && fstat(output, &stat) == 0 && S_ISREG(stat.st_mode))
        fd = open_beside(output);
    if (fd < 0)
        fd = memfd_create("nearheap-ctl", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        ctl_end(STATUS_REFUSED, "no memory: %s", strerror(errno));
    return fd;
}

/* Memory; false where it is mapped, and could be written to later. */
static bool seal(int scratch)
{
    const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
    return fcntl(scratch, F_ADD_SEALS, seals) == 0;
}

/* Holes cost who makes them nothing, and who copies them a disk.  Blocks tell less of them: some
 * file systems count them when they are on the disk, or pack more into them. */
static bool has_hole(int fd, off_t length)
{
    off_t hole = lseek(fd, 0, SEEK_HOLE);
    return hole >= 0 && hole < length; /* an empty file has not even an end */
}

/* How much was written.  What the process, which may mean ill, writes from now on does not
 * make it more. */
static off_t length_of(int scratch, long pid)
{
    struct stat stat;
    if (fstat(scratch, &stat) != 0 || has_hole(scratch, stat.st_size))
        ctl_end_nonsense(pid);
    return stat.st_size;
}

/* As O_TRUNC does, which leaves alone what is no regular file. */
static void empty(int output)
{
    struct stat stat;
    bool regular = fstat(output, &stat) == 0 && S_ISREG(stat.st_mode);
    if (regular && ftruncate(output, 0) != 0)
        ctl_end(STATUS_REFUSED, "cannot write: %s", strerror(errno));
}

/* By offsets of our own: the descriptor's place is the process's, too. */
static void copy(int scratch, off_t length, int output, bool text)
{
    static char buffer[COPY_BYTES];
    ssize_t got;
    for (off_t at = 0; at < length; at += got) {
        got = pread(scratch, buffer, sizeof buffer, at);
        if (got <= 0)
            ctl_end(STATUS_REFUSED, "what was written cannot be read: %s", strerror(errno));
        if (text)
            make_lines_printable(buffer, (size_t)got);
        int error = log_write_all(output, buffer, (size_t)got);
        if (error != 0)
            ctl_end(STATUS_REFUSED, "cannot write: %s", strerror(error));
    }
}

void ctl_report_open(struct ctl_report *report, const char *path, bool ours)
{
    report->output = open_output(path);
    report->scratch = open_scratch(report->output, ours);
    report->ours = ours;
}

void ctl_report_finish(const struct ctl_report *report, long pid, bool text)
{
    if (!report->ours && !seal(report->scratch))
        ctl_end_nonsense(pid);
    off_t length = length_of(report->scratch, pid);
    if (report->output != STDOUT_FILENO) /* which is others' to empty */
        empty(report->output);
    copy(report->scratch, length, report->output, text);
    if (report->output != STDOUT_FILENO && close(report->output) != 0)
        ctl_end(STATUS_REFUSED, "cannot write: %s", strerror(errno));
}
