/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * fast.h - the fast paths, of which there are three: with caches of threads, with
 * caches of CPUs (cpu_cache.h), and with either, where some threads were told their
 * node and keep caches of their own.  Which of them, changes at most twice.  Of each
 * there is one more, whose malloc counts its calls (watch.h).  While anything is
 * sampled all have others (fast_sampled.h), which may be counted as well.  operator
 * new and sized delete, which are most of what C++ programs call, have paths of their
 * own that are as straight.  All work at any time, for what a thread or a CPU does not
 * have looks empty and full.
 */
#ifndef NH_FAST_H
#define NH_FAST_H

#include "base.h"
#include "limits.h"

#include <stdatomic.h>

/* Relaxed: any of them will do.  A cache line that is hardly ever written. */
struct fast {
    void *(*_Atomic malloc)(size_t size);
    /* operator new: never NULL. */
    void *(*_Atomic new)(size_t size);
    void (*_Atomic free)(void *ptr);
    /* By who says how much it asked for. */
    void (*_Atomic free_sized)(void *ptr, size_t size);
    /* An object of a class, all of which are aligned to `alignment`, for `size` bytes, at most
     * the class's; NULL without memory, and errno is the caller's. */
    void *(*_Atomic malloc_class)(size_t alignment, size_t size, unsigned cls);
} __attribute__((aligned(NH_CACHE_LINE)));
extern struct fast fast_now __attribute__((visibility("hidden")));

/* Process start; whether objects are memcheck's (memcheck_family.h). */
void fast_begin(bool memcheck);

/* CPUs have caches from now on; some thread was told its node; malloc counts its calls,
 * or no longer.  By any thread, with any locks. */
void fast_use_cpus(void);
void fast_use_told(void);
void fast_use_watch(bool on);
/* Something is sampled, or no more. */
void fast_use_sampling(bool on);

/* The process is hardened from its first allocation on (harden.h). */
void fast_use_harden(void);

/* Where fast paths end, for fast.c and fast_sampled.c. */
NH_SLOW void *fast_out_of_memory(void);
NH_NOINLINE void *fast_malloc_large(size_t size);
/* Frees an object of which it did not show at a glance that it is as large as is said. */
NH_NOINLINE void fast_free_checked(void *ptr, size_t size);

/* Pushes an object with this home word to its bin as free would; false when that looks
 * full. */
bool fast_push(uint32_t home, void *ptr);

NH_INLINE void *fast_malloc(size_t size)
{
    return atomic_load_explicit(&fast_now.malloc, memory_order_relaxed)(size);
}

NH_INLINE void *fast_new(size_t size)
{
    return atomic_load_explicit(&fast_now.new, memory_order_relaxed)(size);
}

NH_INLINE void fast_free(void *ptr)
{
    atomic_load_explicit(&fast_now.free, memory_order_relaxed)(ptr);
}

NH_INLINE void fast_free_sized(void *ptr, size_t size)
{
    atomic_load_explicit(&fast_now.free_sized, memory_order_relaxed)(ptr, size);
}

NH_INLINE void *fast_malloc_class(size_t alignment, size_t size, unsigned cls)
{
    return atomic_load_explicit(&fast_now.malloc_class, memory_order_relaxed)(alignment, size, cls);
}

#endif
