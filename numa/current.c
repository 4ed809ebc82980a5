/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * current.c - see current.h.
 */
#include "numa/current.h"

#include "numa/usable.h"

#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* glibc 2.35 registers an area per thread and publishes where it lies, counted
 * from the thread pointer; other C libraries have no such symbols. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

/* struct rseq: cpu_id_start, always the number of a CPU, then cpu_id, which is
 * negative in a thread that is not registered. */
#define RSEQ_CPU_ID_OFFSET 4

bool current_rseq_area(ptrdiff_t *offset)
{
    if (&__rseq_size == NULL || &__rseq_offset == NULL || __rseq_size == 0)
        return false;
    *offset = __rseq_offset;
    return (int32_t)current_cpu(__rseq_offset + RSEQ_CPU_ID_OFFSET) >= 0;
}

/* The CPU and node that the thread runs on. */
static bool ask(unsigned *cpu, unsigned *node)
{
#ifdef __GLIBC__
    return getcpu(cpu, node) == 0;
#else /* others have no such function, which would spare the system call */
    return syscall(SYS_getcpu, cpu, node, NULL) == 0;
#endif
}

static unsigned slot_of_node(const struct topology *topology, unsigned node)
{
    unsigned slot = topology_slot_of_node(topology, node);
    return slot < topology->slots ? slot : topology->slots - 1; /* the others share the last */
}

unsigned current_slot(const struct topology *topology, uint32_t thread_number, uint32_t *cpu)
{
    unsigned here = 0, node = 0;
    ptrdiff_t area;
    if (current_rseq_area(&area)) {
        here = current_cpu(area);
    } else {
        int saved = errno;
        if (!ask(&here, &node))
            here = 0;
        errno = saved;
    }
    *cpu = here;
    if (topology->slots == 1)
        return 0;
    if (topology->synthetic) {
        if (topology->pus == 0)
            return 0;
        uint64_t pu = here;
        if (topology->pus > topology->cpus)
            pu += (uint64_t)topology->cpus * thread_number;
        return topology->slot_of_pu[pu % topology->pus];
    }
    if (here < NH_CPUS_MAX && topology->slot_of_cpu[here] != TOPOLOGY_SLOT_UNKNOWN)
        return usable_slot(topology->slot_of_cpu[here]);
    int saved = errno;
    unsigned slot = ask(&here, &node) ? slot_of_node(topology, node) : 0;
    errno = saved;
    *cpu = here;
    return usable_slot(slot);
}
