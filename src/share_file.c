/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * share_file.c - see share_file.h.
 */
/* For getdents64 where _GNU_SOURCE alone does not give it (musl 1.2.4 and later). */
#define _LARGEFILE64_SOURCE

#include "share_file.h"

#include "log.h"
#include "proc_stat.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Memory comes first: nothing there is ever written to a disk, and services have it that
 * have a /tmp of their own. */
const char *const share_places[SHARE_PLACES] = {"/dev/shm", "/tmp"};

#define FOLDER_MODE 0700
#define OTHERS_MODE 0077
/* Of names, read at a time. */
#define ENTRIES_ROOM 2048

void share_file_folder_path(const char *place, uid_t uid, char path[SHARE_PATH_ROOM])
{
    struct text text = {.at = path, .room = SHARE_PATH_ROOM};
    text_add(&text, "%s/" SHARE_FOLDER_PREFIX "%lu", place, (unsigned long)uid);
}

/* Not while the process acts for another user, whose the files would be: who may cut a page
 * short may end whoever has it mapped. */
static bool is_of_one_user(uid_t uid)
{
    uid_t real, effective, saved;
    return getresuid(&real, &effective, &saved) == 0 && real == uid && effective == uid &&
           saved == uid;
}

int share_file_folder(const char *place, uid_t uid, bool make)
{
    char path[SHARE_PATH_ROOM];
    if (make && !is_of_one_user(uid)) {
        errno = EPERM;
        return -1;
    }
    share_file_folder_path(place, uid, path);
    if (make && mkdir(path, FOLDER_MODE) != 0 && errno != EEXIST)
        return -1;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat stat;
    if (folder < 0)
        return -1;
    /* Anybody may have made one of this name before. */
    if (fstat(folder, &stat) != 0 || stat.st_uid != uid || (stat.st_mode & OTHERS_MODE) != 0) {
        close(folder);
        errno = EPERM;
        return -1;
    }
    return folder;
}

long share_file_pid(const char *name, bool *unfinished)
{
    *unfinished = *name == SHARE_UNFINISHED;
    name += *unfinished;
    if (*name < '1' || *name > '9')
        return 0;
    char *end;
    errno = 0;
    long pid = strtol(name, &end, 10);
    return *end == '\0' && errno == 0 ? pid : 0;
}

off_t share_file_each(int folder, off_t at, size_t most,
                      void (*fn)(int folder, const char *name, void *arg), void *arg)
{
    _Alignas(struct dirent64) char entries[ENTRIES_ROOM];
    ssize_t n;
    if (lseek(folder, at, SEEK_SET) < 0)
        return 0;
    while ((n = getdents64(folder, (void *)entries, sizeof entries)) > 0)
        for (ssize_t i = 0; i < n;) {
            const struct dirent64 *entry = (const void *)(entries + i);
            if (most-- == 0)
                return at;
            fn(folder, entry->d_name, arg);
            at = entry->d_off;
            i += entry->d_reclen;
        }
    return 0;
}

int share_file_open(int folder, const char *name)
{
    /* Whatever else lies there must not keep who opens it waiting. */
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat stat;
    if (fd >= 0 && (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode))) {
        close(fd);
        errno = EINVAL;
        return -1;
    }
    return fd;
}

bool share_file_owner(int fd, struct share_header *out)
{
    return pread(fd, out, SHARE_OWNER_BYTES, 0) == (ssize_t)SHARE_OWNER_BYTES &&
           out->magic == SHARE_MAGIC && out->pid > 0 && out->pid <= INT32_MAX;
}

bool share_file_header(int fd, struct share_header *out)
{
    if (!share_file_owner(fd, out) || pread(fd, out, sizeof *out, 0) != (ssize_t)sizeof *out)
        return false;
    out->release[SHARE_RELEASE_ROOM - 1] = '\0';
    return out->version == SHARE_VERSION && out->node_stats == SHARE_NODE_VALUES &&
           out->class_stats == SHARE_CLASS_VALUES && out->pair_stats == SHARE_PAIR_VALUES &&
           out->heaps == NH_HEAPS && out->classes == NH_CLASSES &&
           out->bytes == sizeof(struct share_page);
}

uint64_t share_file_namespace(void)
{
    struct stat status;
    return stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

bool share_file_is_gone(long pid)
{
    return kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

bool share_file_is_stale(const struct share_header *header)
{
    struct proc_stat stat;
    if (share_file_is_gone((long)header->pid))
        return true;
    if (!proc_stat_read((long)header->pid, &stat))
        return false;
    /* Other threads may go on where the first has ended. */
    return stat.started != header->started || (stat.state == 'Z' && stat.threads <= 1);
}
