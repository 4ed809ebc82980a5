/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * limited_nodes.c - a node that was never used finds memory when another one has taken all
 * address space, and has it free: for its heap, its metadata and its objects.
 */
#include "check.h"
#include "nearheap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define LIMIT_MORE  ((size_t)128 << 20)
#define OBJECT      ((size_t)1 << 20)
#define OBJECTS_MAX 1000
#define PAGE        ((size_t)4096)
#define SMALL       600
#define SMALLS      10000

static void *objects[OBJECTS_MAX];
static void *smalls[SMALLS];

static size_t address_space(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

int main(void)
{
    if (nh_node_count() < 2) {
        puts("limited_nodes: skipped: there are no two nodes");
        return SKIPPED;
    }
    CHECK(nh_set_thread_node(0) == 0);
    struct rlimit limit = {.rlim_cur = address_space() + LIMIT_MORE};
    limit.rlim_max = limit.rlim_cur;
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    size_t count = 0;
    while (count < OBJECTS_MAX && (objects[count] = malloc(OBJECT)) != NULL)
        count++;
    CHECK(count < OBJECTS_MAX && count * OBJECT > LIMIT_MORE / 2 && errno == ENOMEM);
    /* What is left is too little for objects, but would do for metadata. */
    for (size_t piece = OBJECT; piece >= PAGE; piece /= 2)
        while (mmap(NULL, piece, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
            ;
    for (size_t i = 0; i < count; i++)
        free(objects[i]);

    CHECK(nh_set_thread_node(1) == 0);
    for (size_t i = 0; i < SMALLS; i++) {
        smalls[i] = malloc(SMALL);
        CHECK(smalls[i] != NULL);
        fill(smalls[i], SMALL);
    }
    for (size_t i = 0; i < SMALLS; i++) {
        verify(smalls[i], SMALL);
        free(smalls[i]);
    }
    printf("limited_nodes: %zu MiB on one node, then %d objects on the other\n", count, SMALLS);
    return 0;
}
