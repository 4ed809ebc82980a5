/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cpu_cache.c - see cpu_cache.h.
 */
#include "cpu_cache.h"

#include "fast.h"
#include "numa/current.h"
#include "numa/read_file.h"
#include "os.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#define POSSIBLE_CPUS "/sys/devices/system/cpu/possible"

bool cpu_caches_used;
struct cpu_entry *_Atomic cpu_entries;
ptrdiff_t cpu_area;

/* Both have an entry for every CPU there may ever be.  An entry is changed under
 * the registry's lock, and only from no cache to one while it is not closed. */
static struct cpu_entry *open_entries, *closed_entries;
static unsigned cpu_count; /* of entries; constant after boot */

static long membarrier(int command)
{
    return syscall(SYS_membarrier, command, 0, 0);
}

/* One more than the highest number of a CPU; 0 if it is not known. */
static unsigned possible_cpus(void)
{
    char text[256];
    static int numbers[TOPOLOGY_CPUS_MAX];
    if (read_file(POSSIBLE_CPUS, text, sizeof text) <= 0)
        return 0;
    int count = topology_parse_list(text, TOPOLOGY_CPUS_MAX, numbers, TOPOLOGY_CPUS_MAX);
    return count > 0 && count <= TOPOLOGY_CPUS_MAX ? (unsigned)numbers[count - 1] + 1 : 0;
}

void cpu_cache_boot(void)
{
    const struct topology *topology = topology_now();
    ptrdiff_t area;
    /* Processors of a synthetic topology are dealt out to threads. */
    if (!NH_RSEQ || (topology->synthetic && topology->slots > 1) || !current_rseq_area(&area))
        return;
    cpu_count = possible_cpus();
    if (cpu_count == 0 || membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ) != 0)
        return;
    size_t bytes = round_up(cpu_count * sizeof *open_entries, NH_SYSTEM_PAGE);
    struct cpu_entry *entries = os_map(2 * bytes, NH_SYSTEM_PAGE, 0);
    if (entries == NULL)
        return;
    open_entries = entries;
    closed_entries = (struct cpu_entry *)(void *)((char *)entries + bytes);
    for (unsigned cpu = 0; cpu < cpu_count; cpu++)
        open_entries[cpu] = closed_entries[cpu] =
            (struct cpu_entry){.own = &row_boot, .rows = row_boot_rows};
    cpu_area = area;
    atomic_store_explicit(&cpu_entries, open_entries, memory_order_relaxed);
    cpu_caches_used = true;
    fast_use(FAST_CPU);
}

bool cpu_cache_close(void)
{
    if (!cpu_caches_used || (lock_depth & LOCK_FORKING) != 0)
        return cpu_caches_used;
    atomic_store_explicit(&cpu_entries, closed_entries, memory_order_relaxed);
    if (nh_likely(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ) == 0))
        return true;
    cpu_cache_open();
    return false;
}

void cpu_cache_open(void)
{
    /* What was changed while closed is seen by who finds them open. */
    if (cpu_caches_used && (lock_depth & LOCK_FORKING) == 0)
        atomic_store_explicit(&cpu_entries, open_entries, memory_order_release);
}

void cpu_cache_forget(void)
{
    for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
        struct cache *cache = atomic_load_explicit(&open_entries[cpu].cache, memory_order_relaxed);
        if (cache != NULL)
            cache_unregister(cache);
        open_entries[cpu] = closed_entries[cpu];
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
    struct cpu_entry *entry = &open_entries[cpu];
    struct cache *before = atomic_load_explicit(&entry->cache, memory_order_relaxed);
    struct cache *cache = before;
    if (before == NULL || cache_heap_of(before) != heap)
        cache = cache_for_cpu(heap, cpu);
    /* An entry without a cache may change under everybody's eyes: all of its old
     * and new parts go together. */
    bool closed = before != NULL && cache != before && cpu_cache_close();
    if (before != NULL && cache != before && !closed)
        cache = before;
    if (closed)
        cache_empty(before);
    if (cache != NULL && cache != before) {
        entry->rows = cache->rows;
        entry->own = &cache->rows[heap->slot];
        /* Pairs with the acquire in cpu_cache_present. */
        atomic_store_explicit(&entry->cache, cache, memory_order_release);
    }
    if (closed)
        cpu_cache_open();
    if (cache != NULL)
        atomic_store_explicit(&cache->changes_seen, changes, memory_order_relaxed);
    cache_registry_unlock();
    return cache;
}

struct cache *cpu_cache_present(void)
{
    struct cpu_entry *entries = atomic_load_explicit(&cpu_entries, memory_order_acquire);
    if (nh_unlikely(entries == closed_entries))
        return NULL;
    struct cache *cache =
        atomic_load_explicit(&entries[current_cpu(cpu_area)].cache, memory_order_acquire);
    if (nh_likely(cache != NULL) &&
        nh_likely(atomic_load_explicit(&cache->changes_seen, memory_order_relaxed) ==
                  topology_changes()))
        return cache;
    return renew();
}
