/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * numa_sim_run.c - inside a numa-sim guest: has the simulator check that it knows
 * which memory is whose, then runs the command and counts.
 *
 *     numa_sim_run NODES [--markers] COMMAND...
 *     numa_sim_run --start | --stop
 *
 * With --markers nothing counts until the command itself says so; the second form
 * is for shell scripts, which find this program's path in NUMA_SIM_RUN.  Built
 * static, so that LD_PRELOAD in its environment is for the command alone.
 */
#include "numa_sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECKED_PAGES 8
#define PAGE          4096
#define MPOL_BIND     2 /* linux/mempolicy.h; there is no libnuma here */

/* The marker's node is a constant of the code: one instruction for each. */
#define CHECK(node)                                                                                \
    case node:                                                                                     \
        __asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00; .long %c1; movb (%0), %%al" ::"r"(at),     \
                         "i"(NUMA_SIM_MAGIC + NUMA_SIM_CHECK + (node))                             \
                         : "al", "memory");                                                        \
        break;

static void check(unsigned node, const char *at)
{
    switch (node) {
        CHECK(0)
        CHECK(1)
        CHECK(2)
        CHECK(3)
        CHECK(4)
        CHECK(5)
        CHECK(6)
        CHECK(7)
    }
}

/* Some pages on each node, bound there by the kernel, show the simulator. */
static void check_nodes(unsigned nodes)
{
    for (unsigned node = 0; node < nodes && node < 8; node++) {
        unsigned long mask = 1UL << node;
        size_t size = (size_t)CHECKED_PAGES * PAGE;
        char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        /* A node without memory refuses. */
        if (at == MAP_FAILED ||
            syscall(SYS_mbind, at, size, MPOL_BIND, &mask, 8 * sizeof mask, 0UL))
            continue;
        memset(at, 1, size);
        for (size_t i = 0; i < size; i += PAGE)
            check(node, at + i);
        munmap(at, size);
    }
}

int main(int argc, char **argv)
{
    int at = 2, markers = 0, status;

    if (argc == 2 && !strcmp(argv[1], "--start")) {
        numa_sim_start();
        return 0;
    }
    if (argc == 2 && !strcmp(argv[1], "--stop")) {
        numa_sim_stop();
        return 0;
    }
    if (at < argc && !strcmp(argv[at], "--markers")) {
        markers = 1;
        at++;
    }
    if (at >= argc) {
        fputs("numa_sim_run: no command\n", stderr);
        return 125;
    }
    check_nodes((unsigned)strtoul(argv[1], NULL, 10));
    pid_t child = fork();
    if (child < 0) {
        perror("numa_sim_run: fork");
        return 125;
    }
    if (!child) {
        setenv("NUMA_SIM_RUN", argv[0], 1);
        if (!markers)
            numa_sim_start();
        execvp(argv[at], argv + at);
        fprintf(stderr, "numa_sim_run: %s: %s\n", argv[at], strerror(errno));
        _exit(127);
    }
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return 125;
    numa_sim_stop();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
