/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * top_residence.c - see top_residence.h; the file's form is that of numa(7).
 */
#include "top_residence.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATH_ROOM 64
#define LINE_ROOM 256
#define NS_A_S    1e9
#define PAGE_KEY  " kernelpagesize_kB="

static unsigned column_of(const struct share_figures *figures, long node)
{
    for (unsigned slot = 0; slot < figures->slots; slot++)
        if (figures->node[slot].number == node)
            return slot;
    return RESIDENCE_OTHERS;
}

/* The policy is the second word: of one node's heap it is "prefer:N" or "bind:N". */
static unsigned row_of(const struct share_figures *figures, const char *line)
{
    const char *policy = strchr(line, ' ');
    if (policy == NULL)
        return RESIDENCE_REST;
    policy++;
    if (strncmp(policy, "interleave", strlen("interleave")) == 0)
        return NH_HEAP_INTERLEAVED;
    size_t length = strcspn(policy, ":");
    if (strncmp(policy, "prefer", strlen("prefer")) != 0 &&
        strncmp(policy, "bind", strlen("bind")) != 0)
        return RESIDENCE_REST;
    char *end;
    long node = strtol(policy + length + (policy[length] != '\0'), &end, 10);
    unsigned slot = column_of(figures, node);
    /* Of several nodes: not one of ours. */
    return *end == ' ' && slot != RESIDENCE_OTHERS ? slot : RESIDENCE_REST;
}

static void add_line(char *line, const struct share_figures *figures, struct residence *out)
{
    const char *key = strstr(line, PAGE_KEY);
    if (key == NULL)
        return; /* nothing is resident */
    uint64_t page = strtoull(key + strlen(PAGE_KEY), NULL, 10) << 10;
    uint64_t *row = out->bytes[row_of(figures, line)];
    for (char *at = line; (at = strstr(at, " N")) != NULL;) {
        char *end;
        at += strlen(" N");
        long node = strtol(at, &end, 10);
        if (end != at && *end == '=')
            row[column_of(figures, node)] += strtoull(end + 1, NULL, 10) * page;
    }
}

void residence_parse(FILE *maps, const struct share_figures *figures, struct residence *out)
{
    char *line = NULL;
    size_t room = 0;
    memset(out, 0, sizeof *out);
    while (getline(&line, &room, maps) > 0) {
        out->known = true;
        add_line(line, figures, out);
    }
    free(line);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / NS_A_S;
}

void residence_read(long pid, const struct share_figures *figures, struct residence *out)
{
    char path[PATH_ROOM];
    double begun = now();
    out->known = false;
    snprintf(path, sizeof path, "/proc/%ld/numa_maps", pid);
    FILE *maps = fopen(path, "re");
    if (maps != NULL) {
        residence_parse(maps, figures, out);
        fclose(maps);
    }
    out->seconds = now() - begun;
}

uint64_t residence_of_process(long pid)
{
    char path[PATH_ROOM], line[LINE_ROOM];
    snprintf(path, sizeof path, "/proc/%ld/statm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    const char *second = fgets(line, sizeof line, file) != NULL ? strchr(line, ' ') : NULL;
    fclose(file);
    return second == NULL ? 0 : strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t residence_here(const struct residence *residence, unsigned slot)
{
    return residence->bytes[slot][slot];
}

uint64_t residence_all(const struct residence *residence, unsigned row)
{
    uint64_t sum = 0;
    for (unsigned column = 0; column < RESIDENCE_COLUMNS; column++)
        sum += residence->bytes[row][column];
    return sum;
}
