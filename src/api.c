/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * api.c - the public functions about nodes, statistics and trimming.
 */
#include "api.h"
#include "cache.h"
#include "check_word.h"
#include "export.h"
#include "fast.h"
#include "harden.h"
#include "large.h"
#include "memcheck_family.h"
#include "numa/placement.h"
#include "numa/topology.h"
#include "numa/usable.h"
#include "process.h"
#include "sample.h"
#include "size_class.h"
#include "span_table.h"
#include "stats.h"

#include <errno.h>
#include <string.h>

#define NH_TEXT_(x) #x
#define NH_QUOTE(x) NH_TEXT_(x)

const char *nh_version(void)
{
    return NH_QUOTE(NH_VERSION_MAJOR) "." NH_QUOTE(NH_VERSION_MINOR) "." NH_QUOTE(NH_VERSION_PATCH);
}

/* ---- Nodes ---- */

int nh_node_count(void)
{
    process_start();
    (void)usable_refresh();
    return (int)usable_count();
}

int nh_current_node(void)
{
    process_start();
    struct heap *heap = cache_heap();
    return topology_now()->os_node[heap != NULL ? heap->slot : 0];
}

int nh_node_of(const void *ptr)
{
    struct lookup at;
    lookup_address((uintptr_t)ptr, &at);
    if (at.what < NH_FREE_OBJECT) {
        errno = EINVAL;
        return -1;
    }
    int node = placement_node(at.span.lender);
    if (node < 0)
        errno = ENODATA;
    return node;
}

NH_INLINE void describe(const struct lookup *at, struct nh_object *out)
{
    bool known = at->what > NH_CHANGING;
    const struct span_view *span = &at->span;
    out->object = (const void *)at->object;
    out->size = at->size;
    if (harden_on() && known && span_view_is_cut(span) && at->size != 0)
        out->size -= CHECK_WORD_BYTES;
    out->span = known ? (const void *)span->base : NULL;
    out->span_size = known ? span->pages << NH_PAGE_SHIFT : 0;
    out->generation = known ? span_view_generation(span) : 0;
    out->what = (int32_t)at->what;
    out->size_class = known && span->cls < NH_CLASSES ? span->cls : 0;
    out->home_node = known ? placement_node(span->lender) : -1;
    out->user_node = known ? placement_node(span->slot) : -1;
}

void api_describe(const struct lookup *at, struct nh_object *out)
{
    describe(at, out);
}

/* What is no object at rest, or asked by a caller whose struct is of another version. */
static NH_SLOW int lookup_slowly(const void *addr, struct nh_object *out)
{
    struct lookup at;
    lookup_address((uintptr_t)addr, &at);
    struct nh_object all;
    describe(&at, &all);
    return api_copy_out(out, out->struct_size, &all, sizeof(all),
                        offsetof(struct nh_object, object));
}

int nh_lookup(const void *addr, struct nh_object *out)
{
    struct lookup at;
    if (nh_likely(out->struct_size == sizeof(*out)) &&
        nh_likely(lookup_object((uintptr_t)addr, &at))) {
        describe(&at, out);
        return 0;
    }
    return lookup_slowly(addr, out);
}

static void *alloc_on(unsigned slot, size_t size, bool *zeroed)
{
    *zeroed = false;
    struct heap *heap = heap_get(slot);
    if (heap == NULL)
        return NULL;
    if (memcheck_on())
        return memcheck_malloc_from(heap, size);
    if (size > NH_CLASS_MAX)
        return large_alloc(heap, size, NH_GRAIN, zeroed);
    if (harden_on())
        return harden_alloc(heap, size);
    unsigned cls = size_class_of(size == 0 ? 1 : size);
    /* The thread's own node has its cache; others' objects come one by one. */
    if (heap == cache_heap()) {
        void *object = fast_malloc_class(NH_GRAIN, size, cls);
        if (object == NULL)
            return NULL;
        const struct span *span = span_table_hint((uintptr_t)object);
        nh_require(span != NULL); /* the object is held */
        if (span->slot == slot)
            return object;
        nh_free(object); /* the thread moved in between */
    }
    void *object = sample_alloc_on(heap, size, NH_GRAIN, size_class_bytes(cls));
    return object != NULL ? object : central_take_one(heap_central(heap, cls));
}

void *nh_malloc_on_node(size_t size, int node)
{
    unsigned slot;
    if (!api_find_slot(node, &slot))
        return NULL;
    bool zeroed;
    void *object = alloc_on(slot, size, &zeroed);
    if (object == NULL)
        errno = ENOMEM;
    return object;
}

void *nh_calloc_on_node(size_t count, size_t size, int node)
{
    unsigned slot;
    size_t bytes;
    if (!api_find_slot(node, &slot))
        return NULL;
    bool zeroed = false;
    void *object = NULL;
    if (!__builtin_mul_overflow(count, size, &bytes))
        object = alloc_on(slot, bytes, &zeroed);
    if (object == NULL)
        errno = ENOMEM;
    else if (!zeroed)
        memset(object, 0, bytes);
    return object;
}

/* ---- Giving memory back ---- */

static void give_back(struct heap *heap, size_t keep_bytes)
{
    page_heap_release(&heap->pages, keep_bytes >> NH_PAGE_SHIFT);
    page_heap_trim_all(&heap->pages);
}

/* By all heaps ever.  What is collected may go back at once, without being asked (decay). */
static uint64_t released_ever(void)
{
    uint64_t sum = 0;
    for (struct heap *heap = NULL; (heap = heap_after(heap)) != NULL;)
        sum += page_heap_released(&heap->pages);
    return sum;
}

static size_t scavenge_all(size_t keep_bytes)
{
    uint64_t before = released_ever();
    heap_reclaim_everything();
    for (struct heap *heap = NULL; (heap = heap_after(heap)) != NULL;)
        give_back(heap, keep_bytes);
    return (size_t)(released_ever() - before);
}

size_t nh_scavenge(int node)
{
    if (node == -1)
        return scavenge_all(0);
    unsigned slot;
    struct heap *heap = api_find_any_slot(node, &slot) ? heap_if_exists(slot) : NULL;
    if (heap == NULL)
        return 0;
    uint64_t before = page_heap_released(&heap->pages);
    cache_flush();
    (void)harden_drain();
    heap_reclaim(heap, true);
    give_back(heap, 0);
    return (size_t)(page_heap_released(&heap->pages) - before);
}

int nh_malloc_trim(size_t pad)
{
    return scavenge_all(pad) != 0;
}
NH_LIBC_NAME(malloc_trim, nh_malloc_trim);

/* ---- Statistics ---- */

int api_copy_out(void *out, size_t room, const void *all, size_t size, size_t header)
{
    if (room < header) {
        errno = EINVAL;
        return -1;
    }
    size_t n = room < size ? room : size;
    memcpy(out, all, n);
    memcpy(out, &n, sizeof(n)); /* struct_size comes first: what was filled in */
    return 0;
}

int nh_stats_read(struct nh_stats *out)
{
    struct nh_stats all;
    stats_of_process(&all);
    return api_copy_out(out, out->struct_size, &all, sizeof(all),
                        offsetof(struct nh_stats, mapped_bytes));
}

int nh_node_stats_read(int node, struct nh_node_stats *out)
{
    unsigned slot = NH_HEAP_INTERLEAVED;
    if (node != -1 && !api_find_any_slot(node, &slot))
        return -1;
    if (heap_if_exists(slot) == NULL) {
        errno = EINVAL;
        return -1;
    }
    struct nh_node_stats all;
    stats_of_heap(heap_if_exists(slot), &all);
    return api_copy_out(out, out->struct_size, &all, sizeof(all),
                        offsetof(struct nh_node_stats, mapped_bytes));
}

int nh_pair_stats_read(int home, int other, struct nh_pair_stats *out)
{
    unsigned slot, from;
    if (!api_find_any_slot(home, &slot) || !api_find_any_slot(other, &from))
        return -1;
    /* What waits for company on its way home counts too. */
    cache_collect_outboxes();
    struct nh_pair_stats all;
    stats_of_pair(slot, from, &all);
    return api_copy_out(out, out->struct_size, &all, sizeof(all),
                        offsetof(struct nh_pair_stats, frees));
}
