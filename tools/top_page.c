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
#define PIDS_MAX    65536 /* of pages; more are left out */
#define COPIES_MOST 16    /* each takes less time than lies between two of the writer's */

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
    unsigned long real, effective, saved;
    text_add(&text, "/proc/%ld/status", pid);
    if (owner == 0)
        return true;
    if (read_file(path, status, sizeof status) <= 0)
        return false;
    const char *line = strstr(status, UIDS_KEY);
    if (line == NULL || sscanf(line, UIDS_KEY "%lu %lu %lu", &real, &effective, &saved) != UIDS)
        return false;
    return owner == real || owner == effective || owner == saved;
}

static enum top_found read_page(int fd, long pid, struct top_process *out)
{
    struct stat stat;
    uint64_t generation;
    if (!share_file_header(fd, &out->header) || out->header.pid != pid || fstat(fd, &stat) != 0 ||
        !top_copy_figures(fd, &out->now, &generation))
        return TOP_BAD;
    if (out->header.pid_namespace != share_file_namespace() || share_file_is_stale(&out->header) ||
        !is_its_users(pid, stat.st_uid))
        return TOP_NO_PAGE;
    out->header.generation = generation;
    make_printable(out->header.release);
    out->user = stat.st_uid;
    out->has_before = false;
    out->fd = fd;
    read_command(out);
    return TOP_FOUND;
}

/* ---- Folders ---- */

struct search {
    void (*look)(int folder, void *arg);
    void *arg;
    bool denied; /* there was a folder that may not be entered */
};

static void look_in_place(const char *place, struct search *search)
{
    DIR *folders = opendir(place);
    const struct dirent *entry;
    while (folders != NULL && (entry = readdir(folders)) != NULL) {
        char *end;
        if (strncmp(entry->d_name, SHARE_FOLDER_PREFIX, sizeof SHARE_FOLDER_PREFIX - 1) != 0)
            continue;
        const char *digits = entry->d_name + sizeof SHARE_FOLDER_PREFIX - 1;
        unsigned long user = strtoul(digits, &end, 10);
        if (*digits < '0' || *digits > '9' || *end != '\0' || user != (uid_t)user)
            continue;
        int folder = share_file_folder(place, (uid_t)user, false);
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

struct pids {
    long pid[PIDS_MAX];
    size_t count;
};

static void add_pid(int folder, const char *name, void *arg)
{
    (void)folder;
    struct pids *pids = arg;
    bool unfinished;
    long pid = share_file_pid(name, &unfinished);
    if (pid > 0 && !unfinished && pid != getpid() && pids->count < PIDS_MAX)
        pids->pid[pids->count++] = pid;
}

static void add_pids(int folder, void *arg)
{
    share_file_each(folder, add_pid, arg);
}

static int compare_pids(const void *a, const void *b)
{
    long left = *(const long *)a, right = *(const long *)b;
    return (left > right) - (left < right);
}

void top_each(void (*fn)(long pid, void *arg), void *arg)
{
    static struct pids pids;
    pids.count = 0;
    struct search search = {.look = add_pids, .arg = &pids};
    look_everywhere(&search);
    qsort(pids.pid, pids.count, sizeof pids.pid[0], compare_pids);
    for (size_t i = 0; i < pids.count; i++)
        if (i == 0 || pids.pid[i] != pids.pid[i - 1])
            fn(pids.pid[i], arg);
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

double top_age(const struct top_process *process)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double age =
        (double)now.tv_sec + (double)now.tv_nsec / NS_A_S - (double)process->now.taken_ns / NS_A_S;
    return age > 0 ? age : 0;
}

double top_seconds(const struct top_process *process)
{
    if (!process->has_before || process->now.taken_ns <= process->before.taken_ns)
        return 0;
    return (double)(process->now.taken_ns - process->before.taken_ns) / NS_A_S;
}
