/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * machine.c - any contents of the files that nearheap-run and nearheap-topo look at, the
 * program to be started among them.
 */
#include "fuzz.h"

#include "tools/machine_checks.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_MOST 256

/* Found below a folder, all one file. */
static const char *const names[] = {
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/kernel/mm/transparent_hugepage/defrag",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/max_map_count",
    "/proc/sys/kernel/numa_balancing",
    "/sys/devices/system/node/online",
    "/proc/self/cgroup",
    "/sys/fs/cgroup/memory.high",
    "/sys/fs/cgroup/memory.max",
};

static char folder[] = "/tmp/nearheap_fuzz_XXXXXX";
static int file = -1;

static void path_of(const char *name, char path[PATH_MOST])
{
    snprintf(path, PATH_MOST, "%s%s", folder, name);
}

/* Makes or removes the folders above a name; what is there, or not empty, stays. */
static void change_folders(char *path, bool make)
{
    if (make)
        for (char *at = path + strlen(folder) + 1; (at = strchr(at, '/')) != NULL; at++) {
            *at = '\0';
            (void)mkdir(path, 0700);
            *at = '/';
        }
    for (char *at; !make && (at = strrchr(path, '/')) != NULL && strlen(path) > strlen(folder);) {
        *at = '\0';
        (void)rmdir(path);
    }
}

static void clean_up(void)
{
    char path[PATH_MOST];
    path_of("/file", path);
    unlink(path);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        path_of(names[i], path);
        unlink(path);
        change_folders(path, false);
    }
}

static void make_machine(void)
{
    char path[PATH_MOST], to[PATH_MOST];
    FUZZ_CHECK(mkdtemp(folder) != NULL && atexit(clean_up) == 0);
    path_of("/file", to);
    file = open(to, O_RDWR | O_CREAT | O_CLOEXEC, 0700);
    FUZZ_CHECK(file >= 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        path_of(names[i], path);
        change_folders(path, true);
        FUZZ_CHECK(link(to, path) == 0);
    }
}

static unsigned told;

static void tell(const char *line)
{
    FUZZ_CHECK(strlen(line) > 0 && strchr(line, '\n') == NULL);
    told++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char program[PATH_MOST];
    if (file < 0)
        make_machine();
    FUZZ_CHECK(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
    path_of("/file", program);
    told = 0;
    unsigned found = check_machine(&(struct check_facts){
        .system = folder, .program = program, .huge_always = true, .latency = true, .tell = tell});
    FUZZ_CHECK(found == told);
    return 0;
}
