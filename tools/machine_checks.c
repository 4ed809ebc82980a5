/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * machine_checks.c - see machine_checks.h.
 *
 * Reads files and nothing else.  What cannot be read is not complained of: containers
 * hide much.
 */
#include "machine_checks.h"

#include "numa/room.h"

#include <elf.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PATH_ROOM 512
#define FILE_ROOM 4096
#define LINE_ROOM 1024
/* The kernel's default; a process with much memory, or moved by realloc, comes near it. */
#define MAPS_LEAST 65530
/* The kernel's words for "all the memory that is mapped must be there". */
#define OVERCOMMIT_NEVER 2
#define ELF_HEADERS_MAX  64

static unsigned found;

static void __attribute__((format(printf, 2, 3)))
tell(const struct check_facts *facts, const char *format, ...)
{
    char line[LINE_ROOM];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    facts->tell(line);
    found++;
}

/* The beginning of a file of the kernel, without the line's end; false if there is none. */
static bool read_text(const struct check_facts *facts, const char *name, char text[FILE_ROOM])
{
    char path[PATH_ROOM];
    if ((size_t)snprintf(path, sizeof path, "%s%s", facts->system, name) >= sizeof path)
        return false;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t length = fread(text, 1, FILE_ROOM - 1, file);
    fclose(file);
    text[length] = '\0';
    while (length > 0 && text[length - 1] == '\n')
        text[--length] = '\0';
    return true;
}

static bool read_number(const struct check_facts *facts, const char *name, long *number)
{
    char text[FILE_ROOM], *end;
    if (!read_text(facts, name, text))
        return false;
    *number = strtol(text, &end, 10);
    return end != text;
}

/* Whether a file such as "always [madvise] never" has chosen the word. */
static bool chosen(const struct check_facts *facts, const char *name, const char *word)
{
    char text[FILE_ROOM], wanted[PATH_ROOM];
    snprintf(wanted, sizeof wanted, "[%s]", word);
    return read_text(facts, name, text) && strstr(text, wanted) != NULL;
}

static void check_huge_pages(const struct check_facts *facts)
{
    static const char enabled[] = "/sys/kernel/mm/transparent_hugepage/enabled";
    static const char defrag[] = "/sys/kernel/mm/transparent_hugepage/defrag";
    if (facts->huge_always && chosen(facts, enabled, "never"))
        tell(facts, "%s says never: NEARHEAP_HUGE=always has no effect. Change: echo madvise >%s",
             enabled, enabled);
    if (!facts->latency)
        return;
    if (chosen(facts, enabled, "always"))
        tell(facts,
             "%s says always: a fault may clear 2 MiB while a request waits, and after a fork "
             "copy them. Change: echo madvise >%s, or --huge never",
             enabled, enabled);
    if (chosen(facts, defrag, "always"))
        tell(facts,
             "%s says always: a fault may wait until memory is compacted. Change: "
             "echo defer+madvise >%s",
             defrag, defrag);
}

static void check_memory(const struct check_facts *facts)
{
    long number;
    if (read_number(facts, "/proc/sys/vm/overcommit_memory", &number) && number == OVERCOMMIT_NEVER)
        tell(facts, "vm.overcommit_memory is 2: address space that heaps have in reserve counts as "
                    "memory, and fork of a large server may fail. Change: "
                    "sysctl vm.overcommit_memory=0 (or 1, if the program says so)");
    if (read_number(facts, "/proc/sys/vm/max_map_count", &number) && number < MAPS_LEAST)
        tell(facts,
             "vm.max_map_count is %ld: mappings may run out, and with them memory. Change: "
             "sysctl vm.max_map_count=%d",
             number, MAPS_LEAST);
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        tell(facts,
             "address space is limited to %llu MiB: heaps reserve more of it than they use. "
             "Change: ulimit -v unlimited, or LimitAS=infinity in the unit; limit memory by "
             "MemoryMax= instead",
             (unsigned long long)limit.rlim_cur >> 20);
}

static void check_nodes(const struct check_facts *facts)
{
    char online[FILE_ROOM];
    long balancing;
    bool several = read_text(facts, "/sys/devices/system/node/online", online) &&
                   strpbrk(online, "-,") != NULL;
    if (several && read_number(facts, "/proc/sys/kernel/numa_balancing", &balancing) &&
        balancing != 0)
        tell(facts,
             "kernel.numa_balancing is %ld: the kernel takes faults to find out who uses what, "
             "and moves memory that nearheap has placed. Change: sysctl kernel.numa_balancing=0",
             balancing);
}

static void check_cgroup(const struct check_facts *facts)
{
    char text[FILE_ROOM], group[PATH_ROOM], name[2 * PATH_ROOM];
    if (!read_text(facts, "/proc/self/cgroup", text) ||
        !room_parse_cgroup(text, group, sizeof group))
        return;
    snprintf(name, sizeof name, "/sys/fs/cgroup%s/memory.high", group);
    uint64_t high = read_text(facts, name, text) ? room_parse_number(text) : ROOM_BOUNDLESS;
    snprintf(name, sizeof name, "/sys/fs/cgroup%s/memory.max", group);
    uint64_t most = read_text(facts, name, text) ? room_parse_number(text) : ROOM_BOUNDLESS;
    if (high < most)
        tell(facts,
             "memory.high of the control group is %llu MiB: beyond it the kernel slows the "
             "program down instead of refusing it memory. Change: MemoryHigh=infinity and "
             "MemoryMax= in the unit, which nearheap sees in time",
             (unsigned long long)high >> 20);
}

/* ---- The program ---- */

static bool read_header(int file, Elf64_Ehdr *header)
{
    return pread(file, header, sizeof *header, 0) == (ssize_t)sizeof *header &&
           memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_ident[EI_CLASS] == ELFCLASS64;
}

/* 1 if the file is an ELF program that the dynamic loader starts, 0 if it is one that
 * has none, -1 if it is something else: a script, or of another kind of machine. */
static int is_dynamic(const char *path)
{
    Elf64_Ehdr header;
    Elf64_Phdr parts[ELF_HEADERS_MAX];
    int file = open(path, O_RDONLY | O_CLOEXEC), dynamic = -1;
    if (file < 0)
        return -1;
    if (read_header(file, &header) && header.e_phentsize == sizeof parts[0] &&
        header.e_phnum <= ELF_HEADERS_MAX) {
        size_t size = header.e_phnum * sizeof parts[0];
        if (pread(file, parts, size, (off_t)header.e_phoff) == (ssize_t)size) {
            dynamic = 0;
            for (unsigned i = 0; i < header.e_phnum; i++)
                dynamic |= parts[i].p_type == PT_INTERP;
        }
    }
    close(file);
    return dynamic;
}

bool check_is_library(const char *path)
{
    Elf64_Ehdr ours, its;
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    bool good = self >= 0 && file >= 0 && read_header(self, &ours) && read_header(file, &its) &&
                its.e_type == ET_DYN && its.e_machine == ours.e_machine;
    if (self >= 0)
        close(self);
    if (file >= 0)
        close(file);
    return good;
}

static void check_program(const struct check_facts *facts)
{
    struct stat file;
    if (facts->program == NULL || stat(facts->program, &file) != 0)
        return;
    if (is_dynamic(facts->program) == 0)
        tell(facts,
             "%s is statically linked: nothing can be preloaded into it. Change: link it with "
             "nearheap::nearheap_static",
             facts->program);
    bool others = ((file.st_mode & S_ISUID) != 0 && file.st_uid != geteuid()) ||
                  ((file.st_mode & S_ISGID) != 0 && file.st_gid != getegid());
    if (others)
        tell(facts,
             "%s gets another user's rights when it is started: the loader then ignores "
             "LD_PRELOAD. Change: start it as that user",
             facts->program);
    if (getxattr(facts->program, "security.capability", NULL, 0) > 0)
        tell(facts,
             "%s has capabilities of its own: the loader then ignores LD_PRELOAD, unless root "
             "starts it. Change: setcap -r %s, and AmbientCapabilities= in the unit",
             facts->program, facts->program);
}

unsigned check_machine(const struct check_facts *facts)
{
    found = 0;
    check_huge_pages(facts);
    check_memory(facts);
    check_nodes(facts);
    check_cgroup(facts);
    check_program(facts);
    return found;
}
