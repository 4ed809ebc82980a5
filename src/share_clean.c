/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * share_clean.c - see share_clean.h.
 */
#include "share_clean.h"

#include "control_path.h"
#include "log.h"
#include "share_file.h"

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* In so many beats so many names are looked at. */
#define SWEEP_BEATS 10
#define SWEEP_NAMES 1024

struct cleaning {
    char folder_path[SHARE_PATH_ROOM];
    uint64_t namespace;
    /* Only what no process has the number of, which is one call to know: another process has the
     * numbers of few that ended. */
    bool gone_only;
};

static bool is_stale_page(int folder, const char *name, long pid, uint64_t namespace)
{
    struct share_header header;
    int fd = share_file_open(folder, name);
    if (fd < 0)
        return false;
    bool stale = share_file_owner(fd, &header) && header.pid_namespace == namespace &&
                 header.pid == pid && share_file_is_stale(&header);
    close(fd);
    return stale;
}

/* The process may be one of another namespace, where it has that number. */
static bool is_stale_socket(const char *folder_path, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct text text = {.at = address.sun_path, .room = sizeof address.sun_path};
    text_add(&text, "%s/%s", folder_path, name);
    if (text.used == 0) /* an address that others may have, without a file */
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool stale = connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 &&
                 errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static void clean(int folder, const char *name, void *arg)
{
    const struct cleaning *how = arg;
    bool unfinished;
    long pid = share_file_pid(name, &unfinished);
    bool page = pid != 0;
    if (!page)
        pid = control_path_pid(name, &unfinished);
    if (pid == 0 || ((unfinished || how->gone_only) && !share_file_is_gone(pid)))
        return;
    if (unfinished || (page ? is_stale_page(folder, name, pid, how->namespace)
                            : is_stale_socket(how->folder_path, name)))
        (void)unlinkat(folder, name, 0);
}

/* Whether the parent shares its counters there, and so cleans. */
static bool is_left_to_parent(int folder)
{
    char name[SHARE_NAME_ROOM];
    struct text text = {.at = name, .room = sizeof name};
    text_add(&text, "%ld", (long)getppid());
    int page = share_file_open(folder, name);
    if (page < 0)
        return false;
    close(page);
    return true;
}

void share_clean_all(void)
{
    struct cleaning how = {.namespace = share_file_namespace()};
    for (unsigned i = 0; i < SHARE_PLACES; i++) {
        int folder = share_file_folder(share_places[i], geteuid(), false);
        if (folder < 0)
            continue;
        share_file_folder_path(share_places[i], geteuid(), how.folder_path);
        (void)share_file_each(folder, 0, SIZE_MAX, clean, &how);
        close(folder);
    }
}

void share_clean_beat(void)
{
    static unsigned beats;
    static off_t at[SHARE_PLACES]; /* where to go on */
    if (++beats % SWEEP_BEATS != 0)
        return;
    struct cleaning how = {.namespace = share_file_namespace(), .gone_only = true};
    for (unsigned i = 0; i < SHARE_PLACES; i++) {
        int folder = share_file_folder(share_places[i], geteuid(), false);
        if (folder < 0)
            continue;
        share_file_folder_path(share_places[i], geteuid(), how.folder_path);
        if (!is_left_to_parent(folder))
            at[i] = share_file_each(folder, at[i], SWEEP_NAMES, clean, &how);
        close(folder);
    }
}
