/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cpu_cache.h - caches of CPUs, which all their threads use in turn (rseq.h).
 *
 * A CPU never leaves its node, so what it caches is always local, and memory in
 * caches grows with CPUs and not with threads.  A cache is one of a CPU and a
 * node; should a CPU's node change (numa/usable.h), it gets another cache.
 *
 * On a machine with one node nothing is gained by that while threads are few and
 * stay, and caches of their own take ten instructions less a pair: there CPUs take
 * over when one thread too many has begun, and for good.  Threads give their own
 * caches back when they next take a slow path.
 *
 * Closed: the table of CPUs is swapped for one of nothing, and a membarrier
 * restarts whoever was in the midst of a sequence.  From then on every thread
 * takes the slow path, finds no cache and works with the central lists, and who
 * closed has all rows alone: to empty them, or to fork.
 */
#ifndef NH_CPU_CACHE_H
#define NH_CPU_CACHE_H

#include "cache.h"
#include "rseq.h"

/* Whether CPUs have caches.  Becomes true under the registry's lock, and stays so;
 * release, which pairs with cpu_caches_used. */
extern _Atomic bool cpu_caches_on __attribute__((visibility("hidden")));
NH_INLINE bool cpu_caches_used(void)
{
    return atomic_load_explicit(&cpu_caches_on, memory_order_acquire);
}

/* Whether they may; at process boot, when the topology's slots are known. */
void cpu_cache_boot(void);

/* A thread wants a cache, and so many threads did before: CPUs may take over. */
void cpu_cache_consider(uint32_t threads);

/* The cache of the CPU the thread runs on, which it may leave at any moment; NULL
 * without memory and while caches are closed. */
struct cache *cpu_cache_present(void);

/* The caller holds the registry's lock, and has all rows of CPUs' caches alone from
 * cpu_cache_close to cpu_cache_open.  False where the kernel refuses the membarrier
 * (a sandbox entered since boot): nothing is closed then.  In handlers that fork
 * calls between ours the caches are closed already, and stay so. */
bool cpu_cache_close(void);
void cpu_cache_open(void);

/* In the child of a fork that could not close them: the CPUs begin anew, and what
 * their caches held is lost.  The caller holds the registry's lock. */
void cpu_cache_forget(void);

#endif
