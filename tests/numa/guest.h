/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * guest.h - what the programs share that run on a machine with NUMA nodes, real
 * or emulated (tools/numa-vm): threads on chosen nodes, where memory lies.
 *
 * They use malloc, so that any allocator can be preloaded, and the kernel's own
 * account of nodes and pages; nothing of nearheap's unless they say so.
 */
#ifndef NH_TEST_GUEST_H
#define NH_TEST_GUEST_H

#include <errno.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GUEST_NODES 64
#define GUEST_PAGE  4096

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("FAILED: %s:%d: %s\n", __FILE__, __LINE__, #condition);                         \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* The CPUs of the machine and their nodes. */
struct guest {
    int cpus;
    int nodes; /* with CPUs */
    int node[GUEST_NODES];
    int cpu[GUEST_NODES]; /* one of each of these nodes */
};

static inline void run_on_cpu(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    CHECK(sched_setaffinity(0, sizeof(set), &set) == 0);
    CHECK(sched_getcpu() == cpu);
}

/* Leaves the calling thread on the first CPU. */
static inline void guest_look(struct guest *guest)
{
    *guest = (struct guest){.cpus = (int)sysconf(_SC_NPROCESSORS_ONLN)};
    for (int cpu = guest->cpus - 1; cpu >= 0; cpu--) {
        unsigned on_cpu, node;
        run_on_cpu(cpu);
        CHECK(getcpu(&on_cpu, &node) == 0);
        int i = 0;
        while (i < guest->nodes && guest->node[i] != (int)node)
            i++;
        CHECK(i < GUEST_NODES);
        guest->nodes += i == guest->nodes;
        guest->node[i] = (int)node;
        guest->cpu[i] = cpu;
    }
    /* By rising number. */
    for (int i = 0; i < guest->nodes; i++)
        for (int j = i + 1; j < guest->nodes; j++)
            if (guest->node[j] < guest->node[i]) {
                int node = guest->node[i], cpu = guest->cpu[i];
                guest->node[i] = guest->node[j], guest->cpu[i] = guest->cpu[j];
                guest->node[j] = node, guest->cpu[j] = cpu;
            }
}

/* The node of the page at `at`, or a negative errno. */
static inline int node_of_page(const void *at)
{
    void *page = (void *)((uintptr_t)at & ~(uintptr_t)(GUEST_PAGE - 1));
    int node = -ENOENT;
    CHECK(syscall(SYS_move_pages, 0, 1UL, &page, NULL, &node, 0) == 0);
    return node;
}

/* Bytes of memory on each node, by asking for every page of some objects. */
struct residence {
    uint64_t bytes[GUEST_NODES];
    uint64_t absent;
};

static inline void add_residence(struct residence *where, const void *at, size_t bytes)
{
    const char *byte = at, *end = byte + bytes;
    while (byte < end) {
        const char *next = (const char *)(((uintptr_t)byte | (GUEST_PAGE - 1)) + 1);
        if (next > end)
            next = end;
        int node = node_of_page(byte);
        if (node >= 0 && node < GUEST_NODES)
            where->bytes[node] += (uint64_t)(next - byte);
        else
            where->absent += (uint64_t)(next - byte);
        byte = next;
    }
}

/* The share of it on `node`, in percent. */
static inline double share_on(const struct residence *where, int node)
{
    uint64_t all = where->absent;
    for (int i = 0; i < GUEST_NODES; i++)
        all += where->bytes[i];
    return all == 0 ? 0 : 100.0 * (double)where->bytes[node] / (double)all;
}

static inline uint64_t node_meminfo(int node, const char *field)
{
    char path[100], line[200];
    snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
    FILE *file = fopen(path, "r");
    uint64_t value = 0;
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        const char *at = strstr(line, field);
        if (at != NULL)
            value = strtoull(at + strlen(field), NULL, 10) << 10;
    }
    if (file != NULL)
        fclose(file);
    return value;
}

#endif
