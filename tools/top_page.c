/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * top_page.c - see top_page.h.
 */
#include "top_page.h"

#include "log.h"
#include "numa/read_file.h"
#include "printable.h"
#include "share_file.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NS_A_S      1e9
#define PATH_ROOM   64
#define STATUS_ROOM 4096
#define UIDS_KEY    "\nUid:" /* real, effective, saved */
#define UIDS        3
#define COPIES_MOST 16 /* each takes less time than lies between two of the writer's */
#define LATE_BEATS  3  /* so many without new figures are worth a word */
#define MS_A_S      1000.0

/* ---- A page ---- */

bool top_check_figures(const struct share_figures *figures)
{
    if (figures->slots == 0 || figures->slots > NH_NODES_MAX)
        return false;
    /* Rising, so that there are no two of a name. */
    int32_t last = -1;
    for (unsigned slot = 0; slot < figures->slots; slot++) {
        int32_t number = figures->node[slot].number;
        if (number == SHARE_NO_NODE)
            continue;
        if (number <= last)
            return false;
        last = number;
    }
    for (unsigned cls = 0; cls < NH_CLASSES; cls++)
        if (cls == 0 ? figures->cls[cls].object_bytes != 0
                     : figures->cls[cls].object_bytes <= figures->cls[cls - 1].object_bytes)
            return false;
    int32_t interleaved = figures->node[NH_HEAP_INTERLEAVED].number;
    return interleaved == SHARE_NO_NODE || interleaved == SHARE_INTERLEAVED;
}

static bool read_generation(int fd, uint64_t *generation)
{
    return pread(fd, generation, sizeof *generation,
                 offsetof(struct share_page, header.generation)) == (ssize_t)sizeof *generation;
}

bool top_copy_figures(int fd, struct share_figures *out, uint64_t *generation)
{
    for (unsigned i = 0; i < COPIES_MOST; i++) {
        uint64_t before, after;
        if (!read_generation(fd, &before))
            return false;
        /* The kernel's copies are loads of this CPU's: see share_page.h for what they
         * pair with. */
        atomic_thread_fence(memory_order_acquire);
        off_t at = (off_t)offsetof(struct share_page, figures[before % 2]);
        if (pread(fd, out, sizeof *out, at) != (ssize_t)sizeof *out)
            return false;
        atomic_thread_fence(memory_order_acquire);
        if (!read_generation(fd, &after))
            return false;
        if (before == after) {
            *generation = before;
            return before != 0 && top_check_figures(out);
        }
    }
    return false;
}

static void read_command(struct top_process *process)
{
    char path[PATH_ROOM];
    struct text text = {.at = path, .room = sizeof path};
    text_add(&text, "/proc/%ld/comm", (long)process->header.pid);
    if (read_file(path, process->command, sizeof process->command) <= 0)
        strcpy(process->command, "?");
    process->command[strcspn(process->command, "\n")] = '\0';
    make_printable(process->command);
}

/* Anybody may make a page of any process's number: only its user's counts, or root's, whose
 * rights it may have given up. */
static bool is_its_users(long pid, uid_t owner)
{
    char path[PATH_ROOM], status[STATUS_ROOM];
    struct text text = {.at = path, .room = sizeof path};
    text_add(&text, "/proc/%ld/status", pid);
    if (owner == 0)
        return true;
    if (read_file(path, status, sizeof status) <= 0)
        return false;
    char *line = strstr(status, UIDS_KEY);
    if (line == NULL)
        return false;
    char *at = line + strlen(UIDS_KEY);
    for (unsigned i = 0; i < UIDS; i++)
        if (strtoul(at, &at, 10) == owner)
            return true;
    return false;
}

/* Whether what lies there under a process's number is a page of that process, which runs. */
static enum top_found check_page(int fd, long pid, struct share_header *header, uid_t *user)
{
    struct stat stat;
    if (!share_file_header(fd, header) || header->pid != pid || fstat(fd, &stat) != 0)
        return TOP_BAD;
    if (header->pid_namespace != share_file_namespace() || share_file_is_stale(header) ||
        !is_its_users(pid, stat.st_uid))
        return TOP_NO_PAGE;
    *user = stat.st_uid;
    return TOP_FOUND;
}

static enum top_found read_page(int fd, long pid, struct top_process *out)
{
    uint64_t generation;
    enum top_found found = check_page(fd, pid, &out->header, &out->user);
    if (found != TOP_FOUND)
        return found;
    if (!top_copy_figures(fd, &out->now, &generation))
        return TOP_BAD;
    out->header.generation = generation;
    make_printable(out->header.release);
    memset(&out->before, 0, sizeof out->before);
    out->has_before = false;
    out->fd = fd;
    read_command(out);
    return TOP_FOUND;
}

enum top_found top_read(const struct top_page *page, struct top_process *out)
{
    return read_page(page->fd, page->pid, out);
}

/* ---- Folders ---- */

struct search {
    void (*look)(int folder, void *arg);
    void *arg;
    bool denied; /* there was a folder that may not be entered */
};

bool top_folder_user(const char *name, uid_t *user)
{
    char whole[SHARE_NAME_ROOM];
    if (strncmp(name, SHARE_FOLDER_PREFIX, sizeof SHARE_FOLDER_PREFIX - 1) != 0)
        return false;
    *user = (uid_t)strtoul(name + sizeof SHARE_FOLDER_PREFIX - 1, NULL, 10);
    /* No zeros before it, no sign, and nothing that is cut off. */
    snprintf(whole, sizeof whole, SHARE_FOLDER_PREFIX "%lu", (unsigned long)*user);
    return strcmp(name, whole) == 0;
}

static void look_in_place(const char *place, struct search *search)
{
    DIR *folders = opendir(place);
    const struct dirent *entry;
    while (folders != NULL && (entry = readdir(folders)) != NULL) {
        uid_t user;
        if (!top_folder_user(entry->d_name, &user))
            continue;
        int folder = share_file_folder(place, user, false);
        if (folder >= 0) {
            search->look(folder, search->arg);
            close(folder);
        } else {
            search->denied |= errno == EACCES;
        }
    }
    if (folders != NULL)
        closedir(folders);
}

static void look_everywhere(struct search *search)
{
    for (unsigned i = 0; i < SHARE_PLACES; i++)
        look_in_place(share_places[i], search);
}

struct wanted {
    long pid;
    struct top_process *out;
    enum top_found found;
};

static void look_for_one(int folder, void *arg)
{
    struct wanted *wanted = arg;
    char buffer[SHARE_NAME_ROOM];
    struct text name = {.at = buffer, .room = sizeof buffer};
    if (wanted->found == TOP_FOUND)
        return;
    text_add(&name, "%ld", wanted->pid);
    int fd = share_file_open(folder, buffer);
    if (fd < 0)
        return;
    enum top_found found = read_page(fd, wanted->pid, wanted->out);
    if (found != TOP_FOUND)
        close(fd);
    if (found != TOP_NO_PAGE)
        wanted->found = found;
}

enum top_found top_open(long pid, struct top_process *out)
{
    struct wanted wanted = {.pid = pid, .out = out, .found = TOP_NO_PAGE};
    struct search search = {.look = look_for_one, .arg = &wanted};
    look_everywhere(&search);
    if (wanted.found != TOP_NO_PAGE)
        return wanted.found;
    if (kill((pid_t)pid, 0) != 0 && errno == ESRCH)
        return TOP_NO_PROCESS;
    return search.denied ? TOP_DENIED : TOP_NO_PAGE;
}

void top_close(struct top_process *process)
{
    close(process->fd);
}

struct visit {
    bool (*fn)(const struct top_page *page, void *arg);
    void *arg;
};

/* A name is worth no more than one look, here where it was found: anybody may make many. */
static void visit_name(int folder, const char *name, void *arg)
{
    const struct visit *visit = arg;
    struct share_header header;
    bool unfinished;
    struct top_page page = {.pid = share_file_pid(name, &unfinished)};
    if (page.pid == 0 || unfinished || page.pid == getpid())
        return;
    page.fd = share_file_open(folder, name);
    if (page.fd < 0)
        return;
    if (check_page(page.fd, page.pid, &header, &page.user) != TOP_FOUND ||
        !visit->fn(&page, visit->arg))
        close(page.fd);
}

static void visit_folder(int folder, void *arg)
{
    (void)share_file_each(folder, 0, SIZE_MAX, visit_name, arg);
}

void top_each(bool (*fn)(const struct top_page *page, void *arg), void *arg)
{
    struct visit visit = {.fn = fn, .arg = arg};
    struct search search = {.look = visit_folder, .arg = &visit};
    look_everywhere(&search);
}

/* ---- Time ---- */

bool top_refresh(struct top_process *process)
{
    static struct share_figures newest;
    uint64_t generation;
    if (!top_copy_figures(process->fd, &newest, &generation))
        return false;
    if (generation == process->header.generation)
        return true;
    process->header.generation = generation;
    process->before = process->now;
    process->now = newest;
    process->has_before = true;
    return true;
}

bool top_has_ended(const struct top_process *process)
{
    return share_file_is_stale(&process->header);
}

bool top_is_replaced(const struct top_process *process)
{
    struct stat stat;
    return fstat(process->fd, &stat) == 0 && stat.st_nlink == 0;
}

bool top_follow(struct top_process *process)
{
    static struct top_process next;
    if (top_open((long)process->header.pid, &next) != TOP_FOUND)
        return false;
    top_close(process);
    *process = next;
    return true;
}

double top_age(const struct top_process *process)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double age =
        (double)now.tv_sec + (double)now.tv_nsec / NS_A_S - (double)process->now.taken_ns / NS_A_S;
    return age > 0 ? age : 0;
}

bool top_is_late(const struct top_process *process)
{
    return top_age(process) > LATE_BEATS * (double)process->header.period_ms / MS_A_S;
}

double top_seconds(const struct top_process *process)
{
    if (!process->has_before || process->now.taken_ns <= process->before.taken_ns)
        return 0;
    return (double)(process->now.taken_ns - process->before.taken_ns) / NS_A_S;
}
