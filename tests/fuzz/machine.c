/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * machine.c - any contents of the files that nearheap-run and nearheap-topo look at, the
 * program to be started among them.
 *
 * An input is the files' contents in the order below, behind each a zero, where the kernel's
 * texts end anyway; and then the program's.  Of a shorter one the last is the contents of all
 * that follow.
 */
#include "fuzz.h"

#include "tools/machine_checks.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_MOST 256
#define PROGRAM   "/program"

/* Found below a folder, as links to files that are in memory alone. */
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
    PROGRAM,
};
#define FILES (sizeof(names) / sizeof(*names))

static char folder[] = "/tmp/nearheap_fuzz_XXXXXX";
static int files[FILES];
static bool made;

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
    for (size_t i = 0; i < FILES; i++) {
        path_of(names[i], path);
        unlink(path);
        change_folders(path, false);
    }
}

static void make_machine(void)
{
    char path[PATH_MOST], to[PATH_MOST];
    FUZZ_CHECK(mkdtemp(folder) != NULL && atexit(clean_up) == 0);
    for (size_t i = 0; i < FILES; i++) {
        path_of(names[i], path);
        change_folders(path, true);
        files[i] = memfd_create("file", MFD_CLOEXEC);
        FUZZ_CHECK(files[i] >= 0);
        snprintf(to, sizeof(to), "/proc/self/fd/%d", files[i]);
        FUZZ_CHECK(symlink(to, path) == 0);
    }
    made = true;
}

static void write_files(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < FILES; i++) {
        const uint8_t *end = i < FILES - 1 && size > 0 ? memchr(data, '\0', size) : NULL;
        size_t length = end != NULL ? (size_t)(end - data) : size;
        FUZZ_CHECK(ftruncate(files[i], 0) == 0 &&
                   pwrite(files[i], data, length, 0) == (ssize_t)length);
        if (end != NULL) {
            data += length + 1;
            size -= length + 1;
        }
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
    if (!made)
        make_machine();
    write_files(data, size);
    path_of(PROGRAM, program);
    told = 0;
    unsigned found = check_machine(&(struct check_facts){
        .system = folder, .program = program, .huge_always = true, .latency = true, .tell = tell});
    FUZZ_CHECK(found == told);
    return 0;
}
