/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * row.h - what the fast paths touch of a cache: for each node a row of bins,
 * one bin a size class.
 *
 * A bin is the top of a loaded magazine (magazine.h), or NO_TOP, which is empty
 * and full at once.  malloc pops from the row of the node it runs on.  free
 * pushes to the bin that the span table's home word names: an offset from the
 * cache's first row that holds node and class in one number.  Only the row of
 * the cache's own node has magazines; every bin of the other rows is zero, and
 * a top of zero is that of a full magazine.  So one test on free's path tells
 * apart NULL, foreign pointers, large objects, other nodes' objects, a thread
 * without a cache, and a full magazine: all of them take the slow path.
 *
 * A row is used by one thread, or by the threads of one CPU in turn (rseq.h).
 * Bins are atomic (relaxed, plain loads and stores in machine code) because
 * statistics read them from anywhere (row_bin_seen); the figure may be stale, never torn.
 */
#ifndef NH_ROW_H
#define NH_ROW_H

#include "base.h"
#include "limits.h"

#include <stdatomic.h>

/* What is counted of the allocations from a row, for samples (sampling.h); all relaxed. */
struct row_sampling {
    _Atomic int64_t mallocs_left, bytes_left;  /* before a sample */
    _Atomic int64_t mallocs_next;              /* what mallocs_left is after the next one */
    _Atomic uint32_t mallocs_seen, bytes_seen; /* the start of profiling that they are of */
};

#define ROW_SAMPLING_SLOTS (sizeof(struct row_sampling) / sizeof(void **))

struct row {
    /* [0] is NO_TOP. */
    void **_Atomic bin[NH_CLASSES];
    /* In the place of classes that no home word names. */
    struct row_sampling sampling;
    /* Always zero. */
    void **_Atomic full[NH_CLASS_SLOTS - NH_CLASSES - ROW_SAMPLING_SLOTS];
} __attribute__((aligned(NH_CACHE_LINE)));

NH_STATIC(sizeof(struct row) == NH_CLASS_SLOTS * sizeof(void **), "rows have no gaps");
NH_STATIC(offsetof(struct row, full) <= NH_CLASS_HARDENED * sizeof(void **),
          "what free has to look at finds zero");

/* A bin of somebody else's.  Acquire: what it shows may be looked at, since a thread loads a
 * magazine by a release store, which the thread's next ones continue; a CPU's is at an address
 * that the look depends on. */
NH_INLINE void **row_bin_seen(const struct row *row, unsigned cls)
{
    return atomic_load_explicit(&row->bin[cls], memory_order_acquire);
}

/* The next allocations count anew: the first comes by, whichever way it is counted. */
NH_INLINE void row_sampling_reset(struct row_sampling *sampling)
{
    atomic_store_explicit(&sampling->mallocs_seen, 0, memory_order_relaxed);
    atomic_store_explicit(&sampling->bytes_seen, 0, memory_order_relaxed);
    atomic_store_explicit(&sampling->mallocs_left, 1, memory_order_relaxed);
    atomic_store_explicit(&sampling->mallocs_next, 1, memory_order_relaxed);
    atomic_store_explicit(&sampling->bytes_left, 0, memory_order_relaxed);
}
NH_STATIC(NH_CLASS_HARDENED >= NH_CLASSES && NH_CLASS_LARGE < NH_CLASS_SLOTS,
          "the bins of what free has to look at stay zero");

/* The home word of objects of `cls` at home in heap `slot`. */
NH_INLINE uint32_t row_home(unsigned slot, unsigned cls)
{
    return (uint32_t)((slot * NH_CLASS_SLOTS + cls) * sizeof(void **));
}

NH_INLINE unsigned row_home_class(uint32_t home)
{
    return home / (uint32_t)sizeof(void **) % NH_CLASS_SLOTS;
}

NH_INLINE unsigned row_home_slot(uint32_t home)
{
    return home / (uint32_t)sizeof(struct row);
}

/* What bins without a magazine point to. */
extern void *const row_no_magazine[] __attribute__((visibility("hidden")));
#define NO_TOP ((void **)(uintptr_t)row_no_magazine)

struct cache;

/* All thread-local state.  A thread without a cache of its own has a row of bins
 * that are always empty, and rows of bins that are always full. */
struct thread_state {
    struct row *row;        /* malloc's: of the node the thread was last seen on */
    struct row *rows;       /* free's: row of slot 0 */
    struct cache *cache;    /* NULL before the first slow path and after the end */
    uint32_t frees_without; /* frees while it had no cache */
    uint32_t exchanges;     /* with central lists; in a hardened process allocations */
    uint32_t number;        /* counted from 1, of a thread that has no cache (harden.h); else 0 */
    uint32_t calls_left;    /* of malloc until it looks what is due (watch.h) */
    uint32_t calls_between; /* the last two such looks */
    uint8_t fixed_slot;     /* one more than the slot the thread is fixed to; 0: none */
    bool ended;             /* its cache was given back, or could not be; work without one */
};

extern _Thread_local struct thread_state nh_thread
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* What a thread without a cache and a CPU without one have. */
extern struct row row_boot __attribute__((visibility("hidden")));
extern struct row row_boot_rows[NH_NODES_MAX] __attribute__((visibility("hidden")));

#endif
