/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * api_placement.c - the public functions about where memory lies: threads and
 * pages on chosen nodes, audit, migration.
 */
#include "api.h"
#include "cache.h"
#include "heap_walk.h"
#include "large.h"
#include "memcheck_family.h"
#include "nearheap.h"
#include "numa/placement.h"
#include "numa/topology.h"
#include "numa/usable.h"
#include "os.h"
#include "probe.h"
#include "process.h"

#include <errno.h>

NH_STATIC(NH_PAGE_BYTES == NH_PAGE, "the public page is the heap's");

/* System pages asked about at once. */
#define BATCH 512

bool api_find_any_slot(int node, unsigned *slot)
{
    process_start();
    *slot = topology_slot_of_node(topology_now(), (size_t)node);
    if (*slot < topology_now()->slots)
        return true;
    errno = EINVAL;
    return false;
}

bool api_find_slot(int node, unsigned *slot)
{
    if (!api_find_any_slot(node, slot))
        return false;
    if (usable_slot(*slot) == *slot)
        return true;
    errno = EINVAL;
    return false;
}

int nh_set_thread_node(int node)
{
    unsigned slot = CACHE_FOLLOW;
    if (node != -1 && !api_find_slot(node, &slot))
        return -1;
    cache_fix_slot(slot);
    return 0;
}

void *nh_malloc_interleaved(size_t size)
{
    process_start();
    struct heap *heap = heap_get(NH_HEAP_INTERLEAVED);
    bool zeroed;
    void *object = NULL;
    if (heap != NULL)
        object = memcheck_on() ? memcheck_malloc_from(heap, size)
                               : large_alloc(heap, size, NH_GRAIN, &zeroed);
    if (object == NULL)
        errno = ENOMEM;
    return object;
}

void *nh_pages_alloc(size_t pages, int node)
{
    unsigned slot = 0;
    if (pages == 0 || (node != -1 && !api_find_slot(node, &slot))) {
        errno = EINVAL;
        return NULL;
    }
    struct heap *heap = node == -1 ? cache_heap() : heap_get(slot);
    void *at = NULL;
    if (heap != NULL)
        at = memcheck_on() ? memcheck_pages_alloc(heap, pages) : large_pages_alloc(heap, pages);
    if (at == NULL)
        errno = ENOMEM;
    return at;
}

void nh_pages_free(void *ptr)
{
    int saved = errno;
    if (ptr != NULL && memcheck_on())
        memcheck_pages_free(ptr);
    else if (ptr != NULL)
        large_pages_free(ptr);
    errno = saved;
}

/* ---- Audit ---- */

static bool used(const struct span_view *view)
{
    return view->state == SPAN_IN_USE || view->cls == NH_CLASS_PAGES;
}

/* Whether the span's memory belongs to the heap of `slot`; NH_HEAPS for all. */
static bool belongs(const struct span_view *view, unsigned slot)
{
    return slot == NH_HEAPS || view->lender == slot;
}

static uint64_t pages_used(unsigned slot)
{
    uint64_t pages = 0;
    struct span_view view;
    for (uintptr_t at = 0; heap_walk(&at, &view);)
        if (used(&view) && belongs(&view, slot))
            pages += view.pages;
    return pages * (NH_PAGE / NH_SYSTEM_PAGE);
}

/* Pages of one node, gathered until there are enough to ask about. */
struct questions {
    void *page[BATCH];
    int node[BATCH];
    size_t count;
    int right; /* -1: any */
    bool refused;
    struct nh_placement found;
};

static void ask(struct questions *q)
{
    if (q->count == 0)
        return;
    q->refused |= !placement_query(q->page, q->count, q->node);
    for (size_t i = 0; i < q->count && !q->refused; i++)
        *(q->node[i] < 0                             ? &q->found.absent_bytes
          : q->right == -1 || q->node[i] == q->right ? &q->found.right_bytes
                                                     : &q->found.wrong_bytes) += NH_SYSTEM_PAGE;
    q->count = 0;
}

int nh_placement_audit(int node, size_t samples, struct nh_placement *out)
{
    unsigned slot = NH_HEAPS;
    if (node != -1 && !api_find_any_slot(node, &slot))
        return -1;
    uint64_t step = samples == 0 ? 1 : pages_used(slot) / samples;
    size_t stride = (size_t)(step == 0 ? 1 : step) * NH_SYSTEM_PAGE;
    struct questions q = {.count = 0};
    size_t skip = 0; /* bytes from a span's beginning to the next page that is asked about */
    struct span_view view;
    for (uintptr_t at = 0; heap_walk(&at, &view);) {
        if (!used(&view) || !belongs(&view, slot))
            continue;
        int right = placement_node(view.lender);
        if (right != q.right)
            ask(&q);
        q.right = right;
        size_t bytes = view.pages << NH_PAGE_SHIFT;
        for (; skip < bytes; skip += stride) {
            q.page[q.count++] = (void *)(view.base + skip);
            if (q.count == BATCH)
                ask(&q);
        }
        skip -= bytes;
    }
    ask(&q);
    if (q.refused) {
        errno = ENOSYS;
        return -1;
    }
    return api_copy_out(out, out->struct_size, &q.found, sizeof(q.found),
                        offsetof(struct nh_placement, right_bytes));
}

/* ---- Migration ---- */

static uint64_t elsewhere(uintptr_t base, size_t pages, int node)
{
    void *page[BATCH];
    int where[BATCH];
    for (size_t i = 0; i < pages; i++)
        page[i] = (void *)(base + i * NH_SYSTEM_PAGE);
    uint64_t count = 0;
    if (placement_query(page, pages, where))
        for (size_t i = 0; i < pages; i++)
            count += where[i] >= 0 && where[i] != node;
    return count * NH_SYSTEM_PAGE;
}

static void move_span(const struct span_view *view, int node, struct nh_migration *done)
{
    /* A system page that two spans share moves with the first: it is one node's. */
    uintptr_t begin = round_down(view->base, os_page());
    uintptr_t end = round_up(view->base + (view->pages << NH_PAGE_SHIFT), os_page());
    size_t left = (end - begin) / NH_SYSTEM_PAGE;
    for (uintptr_t at = begin; left > 0;) {
        size_t pages = left < BATCH ? left : BATCH;
        uint64_t before = elsewhere(at, pages, node);
        /* Also where nothing has to move: the policy is for what comes. */
        (void)placement_move((void *)at, pages * NH_SYSTEM_PAGE, view->lender);
        uint64_t after = before == 0 ? 0 : elsewhere(at, pages, node);
        done->moved_bytes += before > after ? before - after : 0;
        done->failed_bytes += after;
        at += pages * NH_SYSTEM_PAGE;
        left -= pages;
    }
}

/* Times that all of a heap is looked at: what realloc moves meanwhile, or another heap has just
 * got, may be missed each time. */
#define PASSES_MOST 3

static void move_heap(unsigned slot, int node, struct nh_migration *done)
{
    uint64_t before;
    unsigned pass = 0;
    do {
        struct span_view view;
        before = done->moved_bytes;
        done->failed_bytes = 0;
        for (uintptr_t at = 0; heap_walk(&at, &view);)
            if (view.lender == slot)
                move_span(&view, node, done);
    } while (done->moved_bytes != before && ++pass < PASSES_MOST);
}

/* Who maps memory for the heap at this moment may have read where it was before. */
static void let_growth_pass(unsigned slot)
{
    struct heap *heap = heap_if_exists(slot);
    if (heap == NULL)
        return;
    lock_acquire(&heap->pages.lock);
    lock_release(&heap->pages.lock);
}

int nh_migrate_heap(int from, int to, struct nh_migration *out)
{
    unsigned slot, target;
    /* The node that is left may have no memory for us any more. */
    if (!api_find_any_slot(from, &slot) || !api_find_slot(to, &target))
        return -1;
    if (!placement_works()) {
        errno = ENOSYS;
        return -1;
    }
    placement_redirect(slot, target);
    let_growth_pass(slot);
    struct nh_migration done = {0};
    move_heap(slot, to, &done);
    probe_migrate(from, to, done.moved_bytes, done.failed_bytes);
    if (out == NULL)
        return 0;
    return api_copy_out(out, out->struct_size, &done, sizeof(done),
                        offsetof(struct nh_migration, moved_bytes));
}
