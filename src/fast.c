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
#include "cxx.h"
#include "fast_sampled.h"
#include "fast_thread.h"
#include "harden.h"
#include "large.h"
#include "limits.h"
#include "memcheck_family.h"
#include "row.h"
#include "rseq.h"
#include "size_class.h"
#include "span_table.h"
#include "watch.h"

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

/* operator new does not return without an object: the same, but for what comes when there is
 * no memory. */
static NH_NOINLINE void *new_by_malloc(size_t size)
{
    void *object = fast_malloc(size);
    return nh_likely(object != NULL) ? object : cxx_new_failed(size);
}

/* Whether an object with this home word is surely as large as `size`: one of class n has n
 * grains or more, and what is of no class has a bin that looks full. */
NH_INLINE bool surely_fits(uint32_t home, size_t size)
{
    return (size - 1) >> NH_GRAIN_SHIFT < row_home_class(home);
}

/* It is not sure, or the bin looks full. */
static NH_NOINLINE void free_sized_rest(void *ptr, size_t size, uint32_t home)
{
    unsigned cls = row_home_class(home);
    bool fits = cls != 0 && cls < NH_CLASSES && size <= size_class_bytes(cls);
    if (nh_unlikely(!fits))
        fast_free_checked(ptr, size);
    else if (nh_unlikely(!fast_push(home, ptr)))
        cache_free_slow(ptr);
}

/* ---- Threads' caches ---- */

/* Sizes past NH_SMALL_MAX, and those whose bin is empty, end elsewhere. */
NH_INLINE void *thread_get(size_t size, void *(*medium)(size_t), void *(*empty)(size_t))
{
    if (nh_unlikely(size > NH_SMALL_MAX))
        return medium(size);
    void *object = thread_pop(size_class_of_small(size));
    return nh_likely(object != NULL) ? object : empty(size);
}

NH_INLINE void *thread_get_medium(size_t size, void *(*large)(size_t), void *(*empty)(size_t))
{
    if (nh_unlikely(size > NH_CLASS_MAX))
        return large(size);
    void *object = thread_pop(size_class_of_medium(size));
    return nh_likely(object != NULL) ? object : empty(size);
}

static NH_NOINLINE void *thread_medium(size_t size)
{
    return thread_get_medium(size, fast_malloc_large, malloc_slow);
}

static NH_NOINLINE void *thread_new_medium(size_t size)
{
    return thread_get_medium(size, new_by_malloc, new_by_malloc);
}

static NH_FAST void *thread_malloc(size_t size)
{
    return thread_get(size, thread_medium, malloc_slow);
}

static NH_FAST void *thread_new(size_t size)
{
    return thread_get(size, thread_new_medium, new_by_malloc);
}

static void *thread_malloc_class(size_t alignment, size_t size, unsigned cls)
{
    (void)alignment, (void)size; /* of those who sample or check */
    void *object = thread_pop(cls);
    return nh_likely(object != NULL) ? object : cache_refill(cls);
}

static NH_FAST void thread_free(void *ptr)
{
    if (nh_unlikely(!thread_push(span_table_home((uintptr_t)ptr), ptr)))
        cache_free_slow(ptr);
}

static NH_FAST void thread_free_sized(void *ptr, size_t size)
{
    uint32_t home = span_table_home((uintptr_t)ptr);
    if (nh_unlikely(!surely_fits(home, size)) || nh_unlikely(!thread_push(home, ptr)))
        free_sized_rest(ptr, size, home);
}

/* ---- CPUs' caches ---- */

NH_INLINE void *cpu_get(size_t size, void *(*medium)(size_t), void *(*empty)(size_t))
{
    if (nh_unlikely(size > NH_SMALL_MAX))
        return medium(size);
    void *object;
    return nh_likely(rseq_pop(size_class_of_small(size), &object)) ? object : empty(size);
}

NH_INLINE void *cpu_get_medium(size_t size, void *(*large)(size_t), void *(*empty)(size_t))
{
    if (nh_unlikely(size > NH_CLASS_MAX))
        return large(size);
    void *object;
    return nh_likely(rseq_pop(size_class_of_medium(size), &object)) ? object : empty(size);
}

static NH_NOINLINE void *cpu_medium(size_t size)
{
    return cpu_get_medium(size, fast_malloc_large, malloc_slow);
}

static NH_NOINLINE void *cpu_new_medium(size_t size)
{
    return cpu_get_medium(size, new_by_malloc, new_by_malloc);
}

static NH_FAST void *cpu_malloc(size_t size)
{
    return cpu_get(size, cpu_medium, malloc_slow);
}

static NH_FAST void *cpu_new(size_t size)
{
    return cpu_get(size, cpu_new_medium, new_by_malloc);
}

static void *cpu_malloc_class(size_t alignment, size_t size, unsigned cls)
{
    (void)alignment, (void)size; /* of those who sample or check */
    void *object;
    return nh_likely(rseq_pop(cls, &object)) ? object : cache_refill(cls);
}

static NH_FAST void cpu_free(void *ptr)
{
    if (nh_unlikely(!rseq_push(span_table_home((uintptr_t)ptr), ptr)))
        cache_free_slow(ptr);
}

static NH_FAST void cpu_free_sized(void *ptr, size_t size)
{
    uint32_t home = span_table_home((uintptr_t)ptr);
    if (nh_unlikely(!surely_fits(home, size)) || nh_unlikely(!rseq_push(home, ptr)))
        free_sized_rest(ptr, size, home);
}

/* ---- Either: a thread that was told its node has a cache of its own ---- */

NH_INLINE void *either_get(size_t size)
{
    return nh_thread.cache != NULL ? thread_get(size, thread_medium, malloc_slow)
                                   : cpu_get(size, cpu_medium, malloc_slow);
}

static NH_FAST void *either_malloc(size_t size)
{
    return either_get(size);
}

static void *either_malloc_class(size_t alignment, size_t size, unsigned cls)
{
    return nh_thread.cache != NULL ? thread_malloc_class(alignment, size, cls)
                                   : cpu_malloc_class(alignment, size, cls);
}

static NH_FAST void either_free(void *ptr)
{
    if (nh_thread.cache != NULL)
        thread_free(ptr);
    else
        cpu_free(ptr);
}

static NH_FAST void either_free_sized(void *ptr, size_t size)
{
    if (nh_thread.cache != NULL)
        thread_free_sized(ptr, size);
    else
        cpu_free_sized(ptr, size);
}

bool fast_push(uint32_t home, void *ptr)
{
    if (nh_thread.cache != NULL)
        return thread_push(home, ptr);
    return cpu_caches_used() && rseq_push(home, ptr);
}

/* ---- The same, counted ---- */

static NH_NOINLINE void look(void)
{
    /* A signal's handler may come here meanwhile. */
    nh_thread.calls_left = nh_thread.calls_between;
    nh_thread.calls_between = watch_look(nh_thread.calls_between);
    nh_thread.calls_left = nh_thread.calls_between;
}

NH_INLINE void count_call(void)
{
    if (nh_unlikely(--nh_thread.calls_left == 0))
        look();
}

static NH_FAST void *thread_malloc_watched(size_t size)
{
    count_call();
    return thread_get(size, thread_medium, malloc_slow);
}

static NH_FAST void *thread_new_watched(size_t size)
{
    count_call();
    return thread_get(size, thread_new_medium, new_by_malloc);
}

static NH_FAST void *cpu_malloc_watched(size_t size)
{
    count_call();
    return cpu_get(size, cpu_medium, malloc_slow);
}

static NH_FAST void *cpu_new_watched(size_t size)
{
    count_call();
    return cpu_get(size, cpu_new_medium, new_by_malloc);
}

static NH_FAST void *either_malloc_watched(size_t size)
{
    count_call();
    return either_get(size);
}

static void *thread_malloc_class_watched(size_t alignment, size_t size, unsigned cls)
{
    count_call();
    return thread_malloc_class(alignment, size, cls);
}

static void *cpu_malloc_class_watched(size_t alignment, size_t size, unsigned cls)
{
    count_call();
    return cpu_malloc_class(alignment, size, cls);
}

static void *either_malloc_class_watched(size_t alignment, size_t size, unsigned cls)
{
    count_call();
    return either_malloc_class(alignment, size, cls);
}

/* ---- The same, sampled and counted ---- */

static NH_FAST void *sampled_thread_malloc_watched(size_t size)
{
    count_call();
    return sampled_thread_malloc(size);
}

static NH_FAST void *sampled_cpu_malloc_watched(size_t size)
{
    count_call();
    return sampled_cpu_malloc(size);
}

static NH_FAST void *sampled_either_malloc_watched(size_t size)
{
    count_call();
    return sampled_either_malloc(size);
}

static void *sampled_thread_malloc_class_watched(size_t alignment, size_t size, unsigned cls)
{
    count_call();
    return sampled_thread_malloc_class(alignment, size, cls);
}

static void *sampled_cpu_malloc_class_watched(size_t alignment, size_t size, unsigned cls)
{
    count_call();
    return sampled_cpu_malloc_class(alignment, size, cls);
}

static void *sampled_either_malloc_class_watched(size_t alignment, size_t size, unsigned cls)
{
    count_call();
    return sampled_either_malloc_class(alignment, size, cls);
}

/* ---- Which of them ---- */

struct fast fast_now = {memcheck_first_malloc, new_by_malloc, memcheck_first_free,
                        fast_free_checked, thread_malloc_class};

#define USE_CPUS     1U
#define USE_TOLD     2U
#define USE_WATCH    4U
#define USE_SAMPLING 8U
#define USE_MEMCHECK 16U
#define USE_HARDEN   32U
static _Atomic unsigned used; /* sequentially consistent: who changes it last sees all */

static void choose(unsigned use)
{
    /* By how malloc is to count: not at all, calls, for samples, or both. */
    enum { PLAIN, WATCHED, SAMPLED, SAMPLED_WATCHED, WAYS };
    static const struct {
        void *(*malloc[WAYS])(size_t);
        void *(*new[WAYS])(size_t);
        void (*free)(void *);
        void (*free_sized)(void *, size_t);
        void *(*malloc_class[WAYS])(size_t, size_t, unsigned);
    } paths[] = {{{thread_malloc, thread_malloc_watched, sampled_thread_malloc,
                   sampled_thread_malloc_watched},
                  {thread_new, thread_new_watched, new_by_malloc, new_by_malloc},
                  thread_free,
                  thread_free_sized,
                  {thread_malloc_class, thread_malloc_class_watched, sampled_thread_malloc_class,
                   sampled_thread_malloc_class_watched}},
                 {{cpu_malloc, cpu_malloc_watched, sampled_cpu_malloc, sampled_cpu_malloc_watched},
                  {cpu_new, cpu_new_watched, new_by_malloc, new_by_malloc},
                  cpu_free,
                  cpu_free_sized,
                  {cpu_malloc_class, cpu_malloc_class_watched, sampled_cpu_malloc_class,
                   sampled_cpu_malloc_class_watched}},
                 {{either_malloc, either_malloc_watched, sampled_either_malloc,
                   sampled_either_malloc_watched},
                  {new_by_malloc, new_by_malloc, new_by_malloc, new_by_malloc},
                  either_free,
                  either_free_sized,
                  {either_malloc_class, either_malloc_class_watched, sampled_either_malloc_class,
                   sampled_either_malloc_class_watched}}};
    if ((use & USE_HARDEN) != 0) {
        /* free finds all bins full (row.h). */
        atomic_store_explicit(&fast_now.malloc, harden_malloc, memory_order_relaxed);
        atomic_store_explicit(&fast_now.new, new_by_malloc, memory_order_relaxed);
        atomic_store_explicit(&fast_now.free, thread_free, memory_order_relaxed);
        atomic_store_explicit(&fast_now.free_sized, thread_free_sized, memory_order_relaxed);
        atomic_store_explicit(&fast_now.malloc_class, harden_malloc_class, memory_order_relaxed);
        return;
    }
    unsigned n = (use & USE_CPUS) == 0 ? 0 : (use & USE_TOLD) == 0 ? 1 : 2;
    bool watched = (use & USE_WATCH) != 0;
    unsigned way = (use & USE_SAMPLING) == 0 ? (watched ? WATCHED : PLAIN)
                                             : (watched ? SAMPLED_WATCHED : SAMPLED);
    bool memcheck = (use & USE_MEMCHECK) != 0;
    atomic_store_explicit(&fast_now.new, memcheck ? new_by_malloc : paths[n].new[way],
                          memory_order_relaxed);
    atomic_store_explicit(&fast_now.malloc, memcheck ? memcheck_malloc : paths[n].malloc[way],
                          memory_order_relaxed);
    atomic_store_explicit(&fast_now.free, memcheck ? memcheck_free : paths[n].free,
                          memory_order_relaxed);
    atomic_store_explicit(&fast_now.free_sized, memcheck ? fast_free_checked : paths[n].free_sized,
                          memory_order_relaxed);
    atomic_store_explicit(&fast_now.malloc_class, paths[n].malloc_class[way], memory_order_relaxed);
}

/* Of two who change it at once, the one whose choice is written last finds that `used`
 * is not what it chose by, and chooses again. */
static void change(unsigned set, unsigned clear)
{
    unsigned before = atomic_load(&used);
    while (!atomic_compare_exchange_weak(&used, &before, (before | set) & ~clear))
        ;
    unsigned use;
    do {
        use = atomic_load(&used);
        choose(use);
        atomic_thread_fence(memory_order_seq_cst);
    } while (atomic_load(&used) != use);
}

void fast_begin(bool memcheck)
{
    change(memcheck ? USE_MEMCHECK : 0, 0);
}

void fast_use_cpus(void)
{
    change(USE_CPUS, 0);
}

void fast_use_told(void)
{
    change(USE_TOLD, 0);
}

void fast_use_watch(bool on)
{
    change(on ? USE_WATCH : 0, on ? 0 : USE_WATCH);
}

void fast_use_sampling(bool on)
{
    change(on ? USE_SAMPLING : 0, on ? 0 : USE_SAMPLING);
}

void fast_use_harden(void)
{
    change(USE_HARDEN, 0);
}
