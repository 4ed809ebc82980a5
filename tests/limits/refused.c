/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * refused.c - a size that cannot be had, as a length from outside may be, is refused at once:
 * the program keeps what its heaps have free, whoever asks and how often.
 *
 * usage: refused NAME GIGABYTES       somebody has set a limit far below that
 *        refused tables GIGABYTES     what describes so much is more than the machine has
 *        refused as|data GIGABYTES    sets that one itself
 *        refused NAME GIGABYTES grow  one of 173 MiB, and one object grows within it
 *
 * With NEARHEAP_DECAY=-1: time gives nothing back either.
 */
#include "../server/check.h"
#include "nearheap.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/resource.h>

#define LARGE     ((size_t)1 << 20)
#define LARGES    32
#define SMALL     100
#define SMALLS    20000
#define ALIGNMENT ((size_t)1 << 16)
#define LEFT      ((size_t)64 << 20) /* of what is limited here */
#define ROUNDS    3
/* With what is free and another such one, 169 MiB are in use while one grows; with an eighth of
 * it more, 176. */
#define GROWING ((size_t)40 << 20)
#define GROWN   ((size_t)56 << 20)

static void *objects[SMALLS];

static void get_and_free(size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++)
        CHECK((objects[i] = filled(size)) != NULL);
    for (size_t i = 0; i < count; i++)
        free(objects[i]);
}

static void set_limit(__rlimit_resource_t resource)
{
    unsigned long size, data;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%lu %*u %*u %*u %*u %lu", &size, &data) == 2);
    fclose(file);
    struct rlimit limit;
    CHECK(getrlimit(resource, &limit) == 0);
    limit.rlim_cur = (resource == RLIMIT_AS ? size : data) * (size_t)sysconf(_SC_PAGESIZE) + LEFT;
    CHECK(setrlimit(resource, &limit) == 0);
}

static struct nh_stats stats(void)
{
    struct nh_stats now = {.struct_size = sizeof now};
    CHECK(nh_stats_read(&now) == 0);
    return now;
}

static void is_none(void *given)
{
    CHECK(given == NULL);
    free(given);
}

static void ask(size_t size)
{
    static char stays;
    void *out = &stays;
    errno = 0;
    void *given = malloc(size);
    if (given != NULL) {
        puts("skipped: there is no limit here");
        exit(SKIPPED);
    }
    CHECK(errno == ENOMEM);
    is_none(calloc(size / LARGE, LARGE));
    CHECK(posix_memalign(&out, ALIGNMENT, size) == ENOMEM && out == &stays);
    void *object = filled(SMALL);
    is_none(realloc(object, size));
    verify(object, SMALL);
    free(object);
}

/* An object that grows gets room to grow on, where there is more than it needs: it is not refused
 * when there is not, and nothing is given back for it. */
static void grow(void)
{
    char *a = filled(GROWING), *b = filled(GROWING);
    char *low = a < b ? a : b, *high = a < b ? b : a; /* low has no room behind it */
    struct nh_stats before = stats();
    char *grown = realloc(low, GROWN);
    struct nh_stats after = stats();
    CHECK(grown != NULL && grown != low);
    verify_part(grown, (uintptr_t)low, GROWING, GROWING);
    CHECK(after.refusals == before.refusals);
    CHECK(after.reclaims == before.reclaims && after.scavenges == before.scavenges);
    free(grown);
    free(high);
}

/* Where the kernel maps whatever is asked for, the machine's memory is no limit. */
static bool maps_all(void)
{
    FILE *file = fopen("/proc/sys/vm/overcommit_memory", "r");
    int mode = file != NULL ? fgetc(file) : EOF;
    if (file != NULL)
        fclose(file);
    return mode == '1';
}

/* Whether all of the machine's memory is more than what describes so much, by 8 bytes for 8 KiB. */
static bool describes(size_t size)
{
    return (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE) > size >> 10;
}

int main(int argc, char **argv)
{
    CHECK(argc == 3 || (argc == 4 && strcmp(argv[3], "grow") == 0));
    if (strcmp(argv[1], "machine") == 0 && maps_all()) {
        puts("skipped: vm.overcommit_memory is 1");
        return SKIPPED;
    }
    size_t size = strtoul(argv[2], NULL, 10) << 30;
    if (strcmp(argv[1], "tables") == 0 && maps_all() && describes(size)) {
        puts("skipped: the machine has memory for that");
        return SKIPPED;
    }
    get_and_free(SMALLS, SMALL);
    get_and_free(LARGES, LARGE);
    if (strcmp(argv[1], "as") == 0)
        set_limit(RLIMIT_AS);
    else if (strcmp(argv[1], "data") == 0)
        set_limit(RLIMIT_DATA);
    struct nh_stats before = stats();
    CHECK(before.free_bytes - before.released_bytes >= LARGES * LARGE / 2);
    for (int round = 0; round < ROUNDS; round++)
        ask(size);
    struct nh_stats after = stats();
    printf("%s: %zu GiB refused %llu times; collected %llu times, given back %llu times\n", argv[1],
           size >> 30, (unsigned long long)(after.refusals - before.refusals),
           (unsigned long long)(after.reclaims - before.reclaims),
           (unsigned long long)(after.scavenges - before.scavenges));
    CHECK(after.refusals > before.refusals);
    CHECK(after.reclaims == before.reclaims && after.scavenges == before.scavenges);
    CHECK(after.unmaps == before.unmaps);
    if (argc == 4)
        grow();
    get_and_free(LARGES, LARGE);
    return 0;
}
