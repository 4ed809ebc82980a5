/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * rseq.c - whether this process can use restartable sequences, and the call that
 * restarts them.
 */
#include "rseq.h"

#include "numa/current.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

struct cpu_access cpu_access;
static bool restarts; /* written at boot only */

static bool membarrier(int command)
{
    int saved = errno;
    bool done = syscall(SYS_membarrier, command, 0, 0) == 0;
    errno = saved;
    return done;
}

void rseq_boot(void)
{
    ptrdiff_t area;
    if (!NH_RSEQ || !current_rseq_area(&area))
        return;
    /* Now, while there is one thread: later the kernel waits for a grace period. */
    restarts = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ);
    atomic_store_explicit(&cpu_access.area, area, memory_order_relaxed);
}

bool rseq_restarts(void)
{
    return restarts;
}

bool rseq_restart_all(void)
{
    return restarts && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ);
}
