/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cpu_cache.c - see cpu_cache.h.
 */
#include "cpu_cache.h"

#include "fast.h"
#include "numa/current.h"
#include "numa/read_file.h"
#include "os.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Larger than any number of a CPU that a kernel may tell of. */
#define CPU_NUMBERS (1 << 20)

#define POSSIBLE_CPUS "/sys/devices/system/cpu/possible"

/* Threads that get caches of their own before CPUs take over, for each CPU that the
 * process may use. */
#define THREADS_PER_CPU 2

NH_TOGETHER _Atomic bool cpu_caches_on;
NH_TOGETHER struct cpu_access cpu_access;

/* An entry of the open one is changed under the registry's lock; while it is open
 * only from no cache to one. */
static NH_TOGETHER struct cpu_table *open_table, *closed_table;
static NH_TOGETHER unsigned cpu_count; /* CPUs there may ever be; constant while caches are used */
/* Most threads with caches; UINT32_MAX where CPUs can have none.  Set at boot, and then changed
 * under the registry's lock; relaxed: a look tells whether to take it. */
static _Atomic uint32_t threads_most = UINT32_MAX;

static bool membarrier(int command)
{
    int saved = errno;
    bool done = syscall(SYS_membarrier, command, 0, 0) == 0;
    errno = saved;
    return done;
}

/* One more than the highest number of a CPU; 0 if it is not known, or beyond the table. */
static unsigned possible_cpus(void)
{
    char text[256];
    static int numbers[NH_CPUS_MAX];
    if (read_file(POSSIBLE_CPUS, text, sizeof text) <= 0)
        return 0;
    int count = topology_parse_list(text, CPU_NUMBERS, numbers, NH_CPUS_MAX);
    if (count <= 0 || count > NH_CPUS_MAX || numbers[count - 1] >= NH_CPUS_MAX)
        return 0;
    return (unsigned)numbers[count - 1] + 1;
}

/* What CPUs need to have caches; false where they cannot. */
static bool prepare(void)
{
    cpu_count = possible_cpus();
    if (cpu_count == 0)
        return false;
    struct cpu_table *tables = os_map(2 * sizeof *tables, NH_SYSTEM_PAGE, 0);
    if (tables == NULL)
        return false;
    open_table = &tables[0];
    closed_table = &tables[1];
    for (unsigned cpu = 0; cpu < cpu_count; cpu++)
        for (unsigned i = 0; i < 2; i++) {
            tables[i].own[cpu] = &row_boot;
            tables[i].rows[cpu] = row_boot_rows;
        }
    atomic_store_explicit(&cpu_access.table, open_table, memory_order_relaxed);
    /* Whoever finds the fast paths that are chosen next finds what they read, though
     * nothing in them would order the two. */
    return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ);
}

static NH_SLOW void take_over(void)
{
    cache_registry_lock();
    if (!cpu_caches_used()) {
        if (prepare()) {
            atomic_store_explicit(&cpu_caches_on, true, memory_order_release);
            fast_use_cpus();
        } else {
            atomic_store_explicit(&threads_most, UINT32_MAX, memory_order_relaxed);
        }
    }
    cache_registry_unlock();
}

void cpu_cache_consider(uint32_t threads)
{
    if (threads >= atomic_load_explicit(&threads_most, memory_order_relaxed))
        take_over();
}

void cpu_cache_boot(void)
{
    const struct topology *topology = topology_now();
    /* Processors of a synthetic topology are dealt out to threads. */
    if (!NH_RSEQ || (topology->synthetic && topology->slots > 1) ||
        !current_rseq_area(&cpu_access.area))
        return;
    /* Now, while there is one thread: later the kernel waits for a grace period. */
    if (!membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ))
        return;
    cpu_set_t set;
    unsigned cpus =
        sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : sizeof set * 8;
    atomic_store_explicit(&threads_most, topology->slots > 1 ? 0 : cpus * THREADS_PER_CPU,
                          memory_order_relaxed);
}

bool cpu_cache_close(void)
{
    if (!cpu_caches_used())
        return false;
    if ((lock_depth & LOCK_FORKING) != 0) /* they are closed, or could not be */
        return atomic_load_explicit(&cpu_access.table, memory_order_relaxed) == closed_table;
    atomic_store_explicit(&cpu_access.table, closed_table, memory_order_relaxed);
    if (nh_likely(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ)))
        return true;
    cpu_cache_open();
    return false;
}

void cpu_cache_open(void)
{
    /* What was changed while closed is seen by who finds them open. */
    if (cpu_caches_used() && (lock_depth & LOCK_FORKING) == 0)
        atomic_store_explicit(&cpu_access.table, open_table, memory_order_release);
}

void cpu_cache_forget(void)
{
    for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
        struct cache *cache = atomic_load_explicit(&open_table->cache[cpu], memory_order_relaxed);
        if (cache != NULL)
            cache_unregister(cache);
        open_table->own[cpu] = &row_boot;
        open_table->rows[cpu] = row_boot_rows;
        atomic_store_explicit(&open_table->cache[cpu], NULL, memory_order_relaxed);
    }
}

/* The cache of a CPU that has none, or whose node may have changed. */
static NH_SLOW struct cache *renew(void)
{
    uint32_t changes = topology_changes(); /* before what it counts is read */
    uint32_t cpu;
    struct heap *heap = heap_get(current_slot(topology_now(), 0, &cpu));
    if (heap == NULL)
        return NULL;
    cache_registry_lock();
    struct cache *before = atomic_load_explicit(&open_table->cache[cpu], memory_order_relaxed);
    struct cache *cache = before;
    struct magazine *taken = NULL;
    if (before == NULL || cache_heap_of(before) != heap)
        cache = cache_for_cpu(heap, cpu);
    if (cache == NULL) { /* the CPU keeps what it has, which is not this node's */
        cache_registry_unlock();
        return NULL;
    }
    /* What a CPU without a cache has may change under everybody's eyes: all of the old
     * and new goes together. */
    bool closed = before != NULL && cache != before && cpu_cache_close();
    if (before != NULL && cache != before && !closed)
        cache = before;
    if (closed)
        cache_take_out(before, &taken);
    if (cache != before) {
        /* Its bins, before those who find them here without a load of ours to pair
         * with: they depend on the address. */
        atomic_thread_fence(memory_order_release);
        open_table->rows[cpu] = cache->rows;
        open_table->own[cpu] = &cache->rows[heap->slot];
        /* Pairs with the acquire in cpu_cache_present. */
        atomic_store_explicit(&open_table->cache[cpu], cache, memory_order_release);
    }
    if (closed)
        cpu_cache_open();
    atomic_store_explicit(&cache->changes_seen, changes, memory_order_relaxed);
    cache_registry_unlock();
    heap_unpack_all(taken);
    return cache;
}

struct cache *cpu_cache_present(void)
{
    struct cpu_table *table = atomic_load_explicit(&cpu_access.table, memory_order_acquire);
    if (nh_unlikely(table == closed_table))
        return NULL;
    struct cache *cache =
        atomic_load_explicit(&table->cache[current_cpu(cpu_access.area)], memory_order_acquire);
    if (nh_likely(cache != NULL) &&
        nh_likely(atomic_load_explicit(&cache->changes_seen, memory_order_relaxed) ==
                  topology_changes()))
        return cache;
    return renew();
}
