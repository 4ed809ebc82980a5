/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * malloc_class.h - an object of a class that the caller has found already.
 */
#ifndef NH_MALLOC_CLASS_H
#define NH_MALLOC_CLASS_H

#include "cache.h"
#include "row.h"

/* The bin's top is this thread's (row.h).  The thread's CPU is compared with
 * the one that the row was chosen for, so that a thread that moved to another
 * node gets that node's memory at once.  NULL without memory; errno is the
 * caller's. */
NH_INLINE void *malloc_class(unsigned cls)
{
    struct row *row = nh_thread.row;
    struct bin *bin = &row->bin[cls];
    void **top = atomic_load_explicit(&bin->top, memory_order_relaxed);
    void *object = *top;
    if (nh_unlikely(object == NULL) || nh_unlikely(*row->cpu_now != row->cpu))
        return cache_refill(cls);
    atomic_store_explicit(&bin->top, top - 1, memory_order_relaxed);
    return object;
}

#endif
