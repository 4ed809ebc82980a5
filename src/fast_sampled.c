/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * fast_sampled.c - see fast_sampled.h and sampling.h.
 *
 * What sampling costs a malloc of up to NH_SMALL_MAX is one instruction, the decrement
 * of a count: it leaves the carry flag alone, in which the comparison before it said that
 * the bin is empty, so that one jump (below or equal) takes both that and a count of
 * zero.  Other sizes count bytes, with a jump of its own.
 */
#include "fast_sampled.h"

#include "cache.h"
#include "cpu_cache.h"
#include "fast.h"
#include "fast_thread.h"
#include "numa/current.h"
#include "sample.h"
#include "size_class.h"

/* ---- Off the fast path ---- */

/* The sample is due; the bin may be empty, too. */
static NH_NOINLINE void *sample_due(size_t size, struct row *row)
{
    if (size == 0)
        size = 1;
    unsigned cls = size_class_of(size);
    size_t bytes = size_class_bytes(cls);
    bool hit = row != &row_boot ? sampling_hit_malloc(&row->sampling, cls) : sampling_hit(bytes);
    void *object = hit ? sample_alloc(size, NH_GRAIN, bytes, bytes) : NULL;
    if (object == NULL)
        object = cache_refill(cls);
    return nh_likely(object != NULL) ? object : fast_out_of_memory();
}

/* The bin is empty, or the row's next sample is due. */
static NH_NOINLINE void *malloc_slow(size_t size, struct row *row)
{
    if (nh_unlikely(sampling_malloc_due(&row->sampling)))
        return sample_due(size, row);
    void *object = cache_refill(size_class_of(size != 0 ? size : 1));
    return nh_likely(object != NULL) ? object : fast_out_of_memory();
}

/* `weighed` bytes are due on the row's line. */
static NH_NOINLINE void *class_slow(size_t alignment, size_t size, unsigned cls, size_t weighed,
                                    struct row *row)
{
    bool hit =
        row != &row_boot ? sampling_hit_bytes(&row->sampling, weighed) : sampling_hit(weighed);
    void *object = hit ? sample_alloc(size, alignment, size_class_bytes(cls), weighed) : NULL;
    return object != NULL ? object : cache_refill(cls);
}

/* The same of NH_SMALL_MAX and more. */
static NH_NOINLINE void *medium_slow(size_t size, struct row *row)
{
    void *object = class_slow(NH_GRAIN, size, size_class_of_medium(size), size, row);
    return nh_likely(object != NULL) ? object : fast_out_of_memory();
}

/* The bin is empty, and nothing due. */
static NH_NOINLINE void *medium_empty(size_t size)
{
    void *object = cache_refill(size_class_of_medium(size));
    return nh_likely(object != NULL) ? object : fast_out_of_memory();
}

/* Whether the row's next sample is due; counts the bytes. */
NH_INLINE bool count_bytes(struct row *row, size_t bytes)
{
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) /* as count_malloc */
    bool due;
    __asm__("subq %[bytes], %[left]"
            : "=@ccs"(due), [left] "+m"(row->sampling.bytes_left)
            : [bytes] "r"(bytes));
    return due;
#else
    int64_t left = atomic_load_explicit(&row->sampling.bytes_left, memory_order_relaxed);
    left -= (int64_t)bytes;
    atomic_store_explicit(&row->sampling.bytes_left, left, memory_order_relaxed);
    return left < 0;
#endif
}

/* ---- Threads' caches ---- */

/* Whether a pop that gave `object` may go on; counts it.  ThreadSanitizer does not see what
 * assembly does. */
NH_INLINE bool count_malloc(struct row *row, const void *object)
{
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
    bool stop;
    __asm__("cmpq $1, %[object]\n\t"
            "decq %[left]"
            : "=@ccbe"(stop), [left] "+m"(row->sampling.mallocs_left)
            : [object] "r"(object));
    return !stop;
#else
    int64_t left = atomic_load_explicit(&row->sampling.mallocs_left, memory_order_relaxed) - 1;
    atomic_store_explicit(&row->sampling.mallocs_left, left, memory_order_relaxed);
    return object != NULL && left != 0;
#endif
}

static NH_NOINLINE void *thread_medium(size_t size)
{
    if (nh_unlikely(size > NH_CLASS_MAX))
        return fast_malloc_large(size);
    struct row *row = nh_thread.row;
    if (nh_unlikely(count_bytes(row, size)))
        return medium_slow(size, row);
    void *object = thread_pop_from(row, size_class_of_medium(size));
    return nh_likely(object != NULL) ? object : medium_empty(size);
}

NH_FAST void *sampled_thread_malloc(size_t size)
{
    if (nh_unlikely(size > NH_SMALL_MAX))
        return thread_medium(size);
    struct row *row = nh_thread.row;
    size_t cls = size_class_of_small(size);
    void **top = atomic_load_explicit(&row->bin[cls], memory_order_relaxed);
    void *object = *top;
    /* As in thread_pop. */
    __asm__("" : RETURNED(object), "+r"(cls));
    if (nh_unlikely(!count_malloc(row, object)))
        return malloc_slow(size, row);
    atomic_store_explicit(&row->bin[cls], top + 1, memory_order_relaxed);
    return object;
}

void *sampled_thread_malloc_class(size_t alignment, size_t size, unsigned cls)
{
    size_t bytes = size_class_bytes(cls);
    struct row *row = nh_thread.row;
    if (nh_unlikely(count_bytes(row, bytes)))
        return class_slow(alignment, size, cls, bytes, row);
    void *object = thread_pop_from(row, cls);
    return nh_likely(object != NULL) ? object : cache_refill(cls);
}

/* ---- CPUs' caches ---- */

NH_INLINE struct row *cpu_row(void)
{
    const struct cpu_table *table = atomic_load_explicit(&cpu_access.table, memory_order_acquire);
    return table->own[current_cpu(cpu_access.area)];
}

static NH_NOINLINE void *cpu_medium(size_t size)
{
    if (nh_unlikely(size > NH_CLASS_MAX))
        return fast_malloc_large(size);
    struct row *row = cpu_row();
    if (nh_unlikely(count_bytes(row, size)))
        return medium_slow(size, row);
    void *object;
    return nh_likely(rseq_pop(size_class_of_medium(size), &object)) ? object : medium_empty(size);
}

NH_FAST void *sampled_cpu_malloc(size_t size)
{
    if (nh_unlikely(size > NH_SMALL_MAX))
        return cpu_medium(size);
    void *object;
    struct row *row;
    return nh_likely(rseq_pop_counted(size_class_of_small(size), &object, &row))
               ? object
               : malloc_slow(size, row);
}

void *sampled_cpu_malloc_class(size_t alignment, size_t size, unsigned cls)
{
    size_t bytes = size_class_bytes(cls);
    struct row *row = cpu_row();
    if (nh_unlikely(count_bytes(row, bytes)))
        return class_slow(alignment, size, cls, bytes, row);
    void *object;
    return nh_likely(rseq_pop(cls, &object)) ? object : cache_refill(cls);
}

/* ---- Either ---- */

void *sampled_either_malloc(size_t size)
{
    return nh_thread.cache != NULL ? sampled_thread_malloc(size) : sampled_cpu_malloc(size);
}

void *sampled_either_malloc_class(size_t alignment, size_t size, unsigned cls)
{
    return nh_thread.cache != NULL ? sampled_thread_malloc_class(alignment, size, cls)
                                   : sampled_cpu_malloc_class(alignment, size, cls);
}
