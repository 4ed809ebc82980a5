/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * profile_maps.c - see profile_maps.h, and proc_pid_maps(5).
 */
#include "profile_maps.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The process's own is empty once its first thread has ended. */
#define MAPS "/proc/thread-self/maps"

/* Notes of a file that are looked at. */
#define NOTES_MAX 1024

/* What lies at a mapping's path may be anybody's by now, and must not keep us waiting.  No
 * cancellation points, as in read_file.c. */
static int open_file(const char *path)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat stat;
    if (fd >= 0 && (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode))) {
        syscall(SYS_close, fd);
        return -1;
    }
    return fd;
}

static bool read_at(int fd, void *to, size_t bytes, uint64_t offset)
{
    return syscall(SYS_pread64, fd, to, bytes, (long)offset) == (long)bytes;
}

/* The build id in some notes, if it is there. */
static void find_id(const unsigned char *notes, size_t bytes, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    Elf64_Nhdr note;
    for (size_t at = 0; bytes - at >= sizeof note;) {
        memcpy(&note, notes + at, sizeof note);
        at += sizeof note;
        size_t name = round_up(note.n_namesz, 4), content = round_up(note.n_descsz, 4);
        if (name > bytes - at || content > bytes - at - name)
            return;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof ELF_NOTE_GNU &&
            memcmp(notes + at, ELF_NOTE_GNU, sizeof ELF_NOTE_GNU) == 0 &&
            note.n_descsz <= MAPS_BUILD_ID_MAX) {
            for (size_t i = 0; i < note.n_descsz; i++) {
                *hex++ = digits[notes[at + name + i] >> 4];
                *hex++ = digits[notes[at + name + i] & 0xf];
            }
            *hex = '\0';
            return;
        }
        at += name + content;
    }
}

/* Where the linker put the mapping's first byte, if that is of the segment. */
static void find_address(const Elf64_Phdr *segment, struct map *map)
{
    if ((segment->p_flags & PF_X) != 0 && map->offset < segment->p_offset + segment->p_filesz &&
        map->offset + (map->end - map->begin) > segment->p_offset)
        map->address = map->offset - segment->p_offset + segment->p_vaddr;
}

static void read_segments(int fd, struct map *map)
{
    Elf64_Ehdr head;
    if (!read_at(fd, &head, sizeof head, 0) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_ident[EI_CLASS] != ELFCLASS64)
        return;
    for (unsigned i = 0; i < head.e_phnum; i++) {
        Elf64_Phdr segment;
        unsigned char notes[NOTES_MAX];
        if (!read_at(fd, &segment, sizeof segment, head.e_phoff + i * sizeof segment))
            return;
        if (segment.p_type == PT_LOAD)
            find_address(&segment, map);
        if (segment.p_type == PT_NOTE && map->build_id[0] == '\0' &&
            segment.p_filesz <= sizeof notes &&
            read_at(fd, notes, segment.p_filesz, segment.p_offset))
            find_id(notes, segment.p_filesz, map->build_id);
    }
}

/* A line: "begin-end perms offset device inode    path". */
static bool parse(char *line, struct map *map)
{
    char *at;
    *map = (struct map){.begin = strtoul(line, &at, 16)};
    if (*at++ != '-')
        return false;
    map->end = strtoul(at, &at, 16);
    const char *permissions = ++at;
    at = strchr(at, ' ');
    if (at == NULL || permissions[2] != 'x')
        return false;
    map->offset = map->address = strtoul(at, &at, 16);
    map->path = strchr(at, '/');
    return map->path != NULL;
}

static void visit_line(char *line, void (*visit)(const struct map *map, void *arg), void *arg)
{
    struct map map;
    if (!parse(line, &map))
        return;
    int fd = open_file(map.path);
    if (fd >= 0) {
        read_segments(fd, &map);
        syscall(SYS_close, fd);
    }
    visit(&map, arg);
}

void maps_visit(struct maps_room *room, void (*visit)(const struct map *map, void *arg), void *arg)
{
    char *lines = room->lines;
    int saved = errno;
    int fd = open_file(MAPS);
    size_t used = 0;
    for (long n; fd >= 0; used += (size_t)n) {
        char *line = lines, *end;
        while ((end = memchr(line, '\n', used - (size_t)(line - lines))) != NULL) {
            *end = '\0';
            visit_line(line, visit, arg);
            line = end + 1;
        }
        used -= (size_t)(line - lines);
        memmove(lines, line, used);
        n = syscall(SYS_read, fd, lines + used, sizeof room->lines - used);
        if (n <= 0)
            break;
    }
    if (fd >= 0)
        syscall(SYS_close, fd);
    errno = saved;
}
