/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * row.h - what the fast paths touch of a thread's cache: for each node a row
 * of bins, one bin a size class.
 *
 * malloc pops from the row of the node the thread runs on.  free pushes to the
 * bin that the span table's home word names: an offset from the thread's first
 * row that holds node and class in one number.  Only the row of the thread's
 * own node has magazines; every bin of the other rows is zero, which is a bin
 * that is always full.  So one comparison on free's path tells apart NULL,
 * foreign pointers, large objects, other nodes' objects, a thread without a
 * cache, and a full magazine: all of them take the slow path.
 *
 * A row belongs to its thread.  `top` is stored atomically (relaxed, a plain
 * store in machine code) because statistics read it from other threads; the
 * figure may be stale, never torn.
 */
#ifndef NH_ROW_H
#define NH_ROW_H

#include "base.h"
#include "limits.h"

#include <stdatomic.h>

/* The stack's top: the slot of the object to be popped next.  *top is NULL
 * when the bin is empty; top equals limit when it is full. */
struct bin {
    void **_Atomic top;
    void **limit;
};

struct row {
    struct bin bin[NH_CLASSES];
    /* The CPU the thread runs on now, in the kernel's restartable-sequences
     * area, and the one it ran on when the row was chosen.  Where there is
     * nothing to watch the first points to the second. */
    const volatile uint32_t *cpu_now;
    uint32_t cpu;
    uint32_t spare;
    struct bin no_class[NH_CLASS_SLOTS - NH_CLASSES - 1]; /* always zero */
};

NH_STATIC(sizeof(struct bin) == NH_GRAIN, "a size rounded up to the grain is its bin's offset");
NH_STATIC(sizeof(struct row) == NH_CLASS_SLOTS * sizeof(struct bin), "rows have no gaps");
NH_STATIC(offsetof(struct row, cpu_now) / sizeof(struct bin) < NH_CLASS_LARGE,
          "the bin of large objects stays zero");
NH_STATIC(offsetof(struct row, no_class) / sizeof(struct bin) <= NH_CLASS_PAGES,
          "and that of whole pages");

/* The home word of objects of `cls` at home in heap `slot`. */
NH_INLINE uint32_t row_home(unsigned slot, unsigned cls)
{
    return (uint32_t)((slot * NH_CLASS_SLOTS + cls) * sizeof(struct bin));
}

NH_INLINE unsigned row_home_class(uint32_t home)
{
    return home / (uint32_t)sizeof(struct bin) % NH_CLASS_SLOTS;
}

NH_INLINE unsigned row_home_slot(uint32_t home)
{
    return home / (uint32_t)sizeof(struct row);
}

/* The bin of a size up to NH_SMALL_MAX. */
NH_INLINE struct bin *row_bin_of_size(struct row *row, size_t size)
{
    return (struct bin *)(void *)((char *)row + round_up(size, NH_GRAIN));
}

struct cache;

/* All thread-local state.  A thread without a cache has a row of bins that
 * are always empty, and rows of bins that are always full. */
struct thread_state {
    struct row *row;        /* malloc's: of the node the thread was last seen on */
    struct row *rows;       /* free's: row of slot 0 */
    struct cache *cache;    /* NULL before the first slow path and after the end */
    uint32_t frees_without; /* frees while it had no cache */
    uint8_t fixed_slot;     /* one more than the slot the thread is fixed to; 0: none */
    bool ended;             /* the thread's cache was given back; work without one */
};

extern _Thread_local struct thread_state nh_thread
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

#endif
