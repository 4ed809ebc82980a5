/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * stats.c - reading the counters.
 */
#include "stats.h"

#include "cache.h"
#include "numa/placement.h"
#include "numa/topology.h"

static uint64_t relaxed(const _Atomic size_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void read_pages(struct page_heap *pages, struct nh_node_stats *out)
{
    lock_acquire(&pages->lock);
    out->mapped_bytes = pages->mapped_pages << NH_PAGE_SHIFT;
    out->released_bytes = pages->clean.pages << NH_PAGE_SHIFT;
    out->free_bytes = out->released_bytes + (pages->resident.pages << NH_PAGE_SHIFT);
    out->lent_bytes = pages->lent_pages << NH_PAGE_SHIFT;
    out->borrowed_bytes = pages->borrowed_pages << NH_PAGE_SHIFT;
    uint64_t borrowed_in_use = (pages->borrowed_pages - pages->borrowed.pages) << NH_PAGE_SHIFT;
    out->lends = pages->lends;
    out->borrows = pages->borrows;
    out->span_allocs = pages->span_allocs;
    out->span_frees = pages->span_frees;
    out->grows = pages->grows;
    out->scavenges = pages->scavenges;
    out->unmaps = pages->unmaps;
    lock_release(&pages->lock);
    out->in_use_bytes = out->mapped_bytes - out->free_bytes - out->lent_bytes + borrowed_in_use;
}

void stats_of_pair(unsigned home, unsigned other, struct nh_pair_stats *out)
{
    *out = (struct nh_pair_stats){.struct_size = sizeof(*out),
                                  .home = topology_now()->os_node[home],
                                  .other = topology_now()->os_node[other]};
    struct heap *heap = heap_if_exists(home);
    if (heap == NULL)
        return;
    out->frees = atomic_load_explicit(&heap->freed_from[other], memory_order_relaxed);
    out->lent_bytes = atomic_load_explicit(&heap->lent_to[other], memory_order_relaxed)
                      << NH_PAGE_SHIFT;
    for (unsigned i = 1; home == other && i <= heap_centrals(heap); i++) {
        lock_acquire(&heap->central[i].lock);
        out->frees += heap->central[i].freed;
        lock_release(&heap->central[i].lock);
    }
}

void stats_of_heap(struct heap *heap, struct nh_node_stats *out)
{
    *out = (struct nh_node_stats){.struct_size = sizeof(*out), .node = placement_node(heap->slot)};
    read_pages(&heap->pages, out);

    uint64_t cached[NH_CLASSES];
    cache_count(heap, &out->caches, cached);
    size_t given_out = 0, in_depots = 0, in_caches = 0;
    for (unsigned i = 1; i <= heap_centrals(heap); i++) {
        struct central *central = &heap->central[i];
        lock_acquire(&central->lock);
        size_t objects = central->spans * central->cut.objects - central->free_in_spans;
        given_out += objects * central->cut.bytes;
        in_depots += central->free_in_depot * central->cut.bytes;
        in_caches += cached[central->cls] * central->cut.bytes;
        out->spans += central->spans;
        out->refills += central->refills;
        out->flushes += central->flushes;
        out->waits += central->waits;
        out->refilled_objects += central->refilled;
        out->depot_refills += central->refills - central->carved;
        out->local_frees += central->freed;
        lock_release(&central->lock);
    }
    out->cached_bytes = in_depots + in_caches;
    /* The caches were read at another moment than the lists. */
    if (out->cached_bytes > given_out)
        out->cached_bytes = given_out;
    out->large_objects = relaxed(&heap->large_objects);
    out->spans += out->large_objects;
    out->live_bytes =
        given_out - out->cached_bytes + (relaxed(&heap->large_pages) << NH_PAGE_SHIFT);
    for (unsigned from = 0; from < topology_now()->slots; from++) {
        uint64_t freed = atomic_load_explicit(&heap->freed_from[from], memory_order_relaxed);
        *(from == heap->slot ? &out->local_frees : &out->remote_frees) += freed;
    }
    out->refusals = atomic_load_explicit(&heap->refusals, memory_order_relaxed);
    out->reclaims = atomic_load_explicit(&heap->reclaims, memory_order_relaxed);
    out->metadata_bytes = fixalloc_mapped(&heap->pages.spans) + fixalloc_mapped(&heap->magazines) +
                          fixalloc_mapped(&heap->caches) + fixalloc_mapped(&heap->specials) +
                          sizeof(*heap);
}

void stats_of_process(struct nh_stats *out)
{
    *out = (struct nh_stats){.struct_size = sizeof(*out)};
    for (struct heap *heap = NULL; (heap = heap_after(heap)) != NULL;) {
        struct nh_node_stats node;
        stats_of_heap(heap, &node);
        out->nodes += heap->slot != NH_HEAP_INTERLEAVED;
#define ADD(name, unit, meaning) out->name += node.name;
        NH_NODE_STATS(ADD)
#undef ADD
    }
}
