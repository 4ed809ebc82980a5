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
#include "large.h"
#include "limits.h"
#include "row.h"
#include "size_class.h"
#include "span_table.h"

#include <errno.h>

/* ---- Where the fast paths end ---- */

static NH_SLOW void *out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* The bin is empty. */
static NH_NOINLINE void *malloc_slow(size_t size)
{
    /* Size 0 led to the bin that is always empty. */
    void *object = cache_refill(size_class_of(size != 0 ? size : 1));
    return nh_likely(object != NULL) ? object : out_of_memory();
}

static NH_NOINLINE void *malloc_large(size_t size)
{
    struct heap *heap = large_heap(size);
    bool zeroed;
    void *object = heap != NULL ? large_alloc(heap, size, NH_GRAIN, &zeroed) : NULL;
    return nh_likely(object != NULL) ? object : out_of_memory();
}

static NH_NOINLINE void *malloc_medium(size_t size)
{
    if (nh_unlikely(size > NH_CLASS_MAX))
        return malloc_large(size);
    void *object = fast_malloc_class(size_class_of(size));
    return nh_likely(object != NULL) ? object : out_of_memory();
}

/* The class of a size up to NH_SMALL_MAX; 0 for 0. */
NH_INLINE size_t small_class(size_t size)
{
    return (size + NH_GRAIN - 1) >> NH_GRAIN_SHIFT;
}

/* ---- Threads' caches: the row is the thread's alone ---- */

/* The register in which functions return. */
#ifdef __x86_64__
#define RETURNED "+a"
#else
#define RETURNED "+r"
#endif

NH_INLINE void *thread_pop(size_t cls)
{
    struct row *row = nh_thread.row;
    void **top = atomic_load_explicit(&row->bin[cls], memory_order_relaxed);
    void *object = *top;
    /* Else the compiler spends an instruction on computing the bin's address, and one
     * on returning the object. */
    __asm__("" : RETURNED(object), "+r"(cls));
    if (nh_likely(object != NULL))
        atomic_store_explicit(&row->bin[cls], top + 1, memory_order_relaxed);
    return object;
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

/* Both guarded by the registry's lock. */
static bool cpus, told;

static void choose(void)
{
    if (cpus && told)
        use(either_malloc, either_free, either_malloc_class);
    else if (cpus)
        use(cpu_malloc, cpu_free, cpu_malloc_class);
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
