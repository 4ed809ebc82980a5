/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * fast_thread.h - the few instructions that a thread with a cache of its own does on
 * its rows, which nobody else changes.  For the fast paths alone; rseq.h has the same
 * for CPUs' caches.
 */
#ifndef NH_FAST_THREAD_H
#define NH_FAST_THREAD_H

#include "magazine.h"
#include "row.h"

/* The register in which functions return. */
#ifdef __x86_64__
#define RETURNED "+a"
#else
#define RETURNED "+r"
#endif

/* From the thread's row. */
NH_INLINE void *thread_pop_from(struct row *row, size_t cls)
{
    void **top = atomic_load_explicit(&row->bin[cls], memory_order_relaxed);
    void *object = *top;
    /* Else the compiler spends an instruction on computing the bin's address, and one
     * on returning the object. */
    __asm__("" : RETURNED(object), "+r"(cls));
    if (nh_likely(object != NULL))
        atomic_store_explicit(&row->bin[cls], top + 1, memory_order_relaxed);
    return object;
}

NH_INLINE void *thread_pop(size_t cls)
{
    return thread_pop_from(nh_thread.row, cls);
}

NH_INLINE bool thread_push(uint32_t home, void *ptr)
{
    void **_Atomic *bin = (void **_Atomic *)(void *)((char *)nh_thread.rows + home);
    void **top = atomic_load_explicit(bin, memory_order_relaxed);
    /* Full, or any of the cases that look full (row.h); or freed just before. */
    if (nh_unlikely(magazine_top_full(top)) || nh_unlikely(*top == ptr))
        return false;
    top[-1] = ptr;
    atomic_store_explicit(bin, top - 1, memory_order_relaxed);
    return true;
}

#endif
