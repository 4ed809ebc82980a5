/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What changes while the server runs: a cpuset that loses a node and gets it
 * back, a CPU that goes and comes, a memory limit that is set later.  Needs
 * three nodes, and to be root in a guest of its own.
 */
#include "guest.h"

#include "nearheap.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>
#include <time.h>

#define GROUP "/sys/fs/cgroup/live"
#define MIB   ((size_t)1 << 20)

static struct guest guest;

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, text, strlen(text)) < 0) {
        printf("FAILED: cannot write '%s' to %s: %s\n", text, path, strerror(errno));
        exit(1);
    }
    close(fd);
}

/* Works as a server does, until fresh memory comes from `node`; the heap looks
 * at the kernel's account now and then. */
static void await_node(int node, const char *what)
{
    struct timespec begun, now;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    for (;;) {
        void *object[4000];
        size_t on = 0;
        for (int i = 0; i < 4000; i++) {
            object[i] = malloc(1500);
            CHECK(object[i] != NULL);
            memset(object[i], 1, 1500);
        }
        for (int i = 0; i < 4000; i++) {
            on += node_of_page(object[i]) == node;
            free(object[i]);
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (on == 4000) {
            printf("%s: all of 4000 fresh objects on node %d\n", what, node);
            return;
        }
        /* Objects that were there before stay where they are until freed. */
        malloc_trim(0);
        if (now.tv_sec - begun.tv_sec > 60) {
            printf("FAILED: %s: %zu of 4000 on node %d\n", what, on, node);
            exit(1);
        }
    }
}

static void cpuset(void)
{
    run_on_cpu(guest.cpu[1]);
    await_node(1, "at first");
    CHECK(mkdir(GROUP, 0755) == 0);
    put(GROUP "/cpuset.mems", "0,2");
    put(GROUP "/cgroup.procs", "0");
    await_node(2, "node 1 excluded");
    CHECK(nh_node_count() == 2);
    put(GROUP "/cpuset.mems", "0-2");
    await_node(1, "node 1 admitted again");
    CHECK(nh_node_count() == 3);
}

static void cpus(void)
{
    char path[100];
    run_on_cpu(guest.cpu[2]);
    await_node(2, "on node 2");
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", guest.cpu[2]);
    put(path, "0"); /* the kernel moves the thread to another CPU */
    unsigned cpu, node;
    CHECK(getcpu(&cpu, &node) == 0 && (int)cpu != guest.cpu[2]);
    run_on_cpu((int)cpu);
    CHECK(getcpu(&cpu, &node) == 0);
    await_node((int)node, "its CPU taken away");
    put(path, "1");
    run_on_cpu(guest.cpu[2]);
    await_node(2, "its CPU brought back");
}

static size_t number_in(const char *path)
{
    char text[64] = "";
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    return strtoul(text, NULL, 10);
}

/* Megabytes until malloc refuses, at most `most`; all freed again. */
static size_t megabytes_to_be_had(size_t most)
{
    static void *object[1000];
    size_t n = 0;
    for (; n < most; n++) {
        errno = 0;
        object[n] = malloc(MIB);
        if (object[n] == NULL) {
            CHECK(errno == ENOMEM);
            break;
        }
        memset(object[n], 1, MIB);
    }
    for (size_t i = 0; i < n; i++)
        free(object[i]);
    malloc_trim(0);
    return n;
}

static void limit(void)
{
    CHECK(megabytes_to_be_had(100) == 100);
    char text[64];
    snprintf(text, sizeof(text), "%zu", number_in(GROUP "/memory.current") + 40 * MIB);
    put(GROUP "/memory.max", text);
    /* The heap learns of it in the time after which it looks again. */
    await_node(2, "limited");
    struct timespec begun, now;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    do {
        await_node(2, "limited");
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - begun.tv_sec < 4);
    size_t had = megabytes_to_be_had(100);
    printf("with 40 MiB left under memory.max: %zu MiB to be had, then ENOMEM\n", had);
    CHECK(had >= 15 && had <= 40);
    put(GROUP "/memory.max", "max");
    CHECK(megabytes_to_be_had(100) == 100);
    printf("without the limit: 100 MiB to be had again\n");
}

int main(void)
{
    guest_look(&guest);
    CHECK(guest.nodes == 3);
    cpuset();
    cpus();
    limit();
    printf("ok\n");
    return 0;
}
