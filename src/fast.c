/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * fast.c - the fast paths of malloc and free: no lock, no atomic read-modify-write,
 * no call.  malloc pops from the bin of the size class; free pushes to the bin that
 * the span table names.  tests/instructions.budget holds what those may cost that
 * work with threads' caches; those of CPUs' (rseq.h) cost ten more a pair.
 */
#include "fast.h"

#include "cache.h"
#include "cpu_cache.h"
#include "fast_sampled.h"
#include "fast_thread.h"
#include "large.h"
#include "limits.h"
#include "row.h"
#include "size_class.h"
#include "span_table.h"

#include <errno.h>

/* ---- Where the fast paths end ---- */

NH_SLOW void *fast_out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* The bin is empty. */
static NH_NOINLINE void *malloc_slow(size_t size)
{
    /* Size 0 led to the bin that is always empty. */
    void *object = cache_refill(size_class_of(size != 0 ? size : 1));
    return nh_likely(object != NULL) ? object : fast_out_of_memory();
}

NH_NOINLINE void *fast_malloc_large(size_t size)
{
    struct heap *heap = large_heap(size);
    bool zeroed;
    void *object = heap != NULL ? large_alloc(heap, size, NH_GRAIN, &zeroed) : NULL;
    return nh_likely(object != NULL) ? object : fast_out_of_memory();
}

static NH_NOINLINE void *malloc_medium(size_t size)
{
    if (nh_unlikely(size > NH_CLASS_MAX))
        return fast_malloc_large(size);
    void *object = fast_malloc_class(size_class_of(size));
    return nh_likely(object != NULL) ? object : fast_out_of_memory();
}

/* ---- Threads' caches ---- */

static NH_FAST void *thread_malloc(size_t size)
{
    if (nh_unlikely(size > NH_SMALL_MAX))
        return malloc_medium(size);
    void *object = thread_pop(small_class(size));
    return nh_likely(object != NULL) ? object : malloc_slow(size);
}

static void *thread_malloc_class(unsigned cls)
{
    void *object = thread_pop(cls);
    return nh_likely(object != NULL) ? object : cache_refill(cls);
}

static NH_FAST void thread_free(void *ptr)
{
    if (nh_unlikely(!thread_push(span_table_home((uintptr_t)ptr), ptr)))
        cache_free_slow(ptr);
}

/* ---- CPUs' caches ---- */

static NH_FAST void *cpu_malloc(size_t size)
{
    if (nh_unlikely(size > NH_SMALL_MAX))
        return malloc_medium(size);
    void *object;
    return nh_likely(rseq_pop(small_class(size), &object)) ? object : malloc_slow(size);
}

static void *cpu_malloc_class(unsigned cls)
{
    void *object;
    return nh_likely(rseq_pop(cls, &object)) ? object : cache_refill(cls);
}

static NH_FAST void cpu_free(void *ptr)
{
    if (nh_unlikely(!rseq_push(span_table_home((uintptr_t)ptr), ptr)))
        cache_free_slow(ptr);
}

/* ---- Either: a thread that was told its node has a cache of its own ---- */

static NH_FAST void *either_malloc(size_t size)
{
    return nh_thread.cache != NULL ? thread_malloc(size) : cpu_malloc(size);
}

static void *either_malloc_class(unsigned cls)
{
    return nh_thread.cache != NULL ? thread_malloc_class(cls) : cpu_malloc_class(cls);
}

static NH_FAST void either_free(void *ptr)
{
    if (nh_thread.cache != NULL)
        thread_free(ptr);
    else
        cpu_free(ptr);
}

bool fast_push(uint32_t home, void *ptr)
{
    if (nh_thread.cache != NULL)
        return thread_push(home, ptr);
    return cpu_caches_used() && rseq_push(home, ptr);
}

struct fast fast_now = {thread_malloc, thread_free, thread_malloc_class};

static void use(void *(*malloc)(size_t), void (*free)(void *), void *(*malloc_class)(unsigned))
{
    atomic_store_explicit(&fast_now.malloc, malloc, memory_order_relaxed);
    atomic_store_explicit(&fast_now.free, free, memory_order_relaxed);
    atomic_store_explicit(&fast_now.malloc_class, malloc_class, memory_order_relaxed);
}

/* All guarded by the registry's lock. */
static bool cpus, told, sampling;

static void choose(void)
{
    if (cpus && told)
        use(sampling ? sampled_either_malloc : either_malloc, either_free,
            sampling ? sampled_either_malloc_class : either_malloc_class);
    else if (cpus)
        use(sampling ? sampled_cpu_malloc : cpu_malloc, cpu_free,
            sampling ? sampled_cpu_malloc_class : cpu_malloc_class);
    else
        use(sampling ? sampled_thread_malloc : thread_malloc, thread_free,
            sampling ? sampled_thread_malloc_class : thread_malloc_class);
}

void fast_use_cpus(void)
{
    cpus = true;
    choose();
}

void fast_use_told(void)
{
    told = true;
    choose();
}

void fast_use_sampling(bool on)
{
    sampling = on;
    choose();
}
