/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * stats_classes.c - the counters by size class.
 */
#include "cache.h"
#include "stats.h"

static void add_class(struct central *central, uint64_t in_caches, struct share_class *out)
{
    lock_acquire(&central->lock);
    uint64_t given_out = central->spans * central->cut.objects - central->free_in_spans;
    uint64_t cached = central->free_in_depot + in_caches;
    /* The caches were read at another moment than the list. */
    if (cached > given_out)
        cached = given_out;
    out->value[SHARE_CLASS_live_objects] += given_out - cached;
    out->value[SHARE_CLASS_cached_objects] += cached;
    out->value[SHARE_CLASS_spans] += central->spans;
    out->value[SHARE_CLASS_span_bytes] += central->spans * central->cut.pages << NH_PAGE_SHIFT;
    out->value[SHARE_CLASS_refills] += central->refills;
    out->value[SHARE_CLASS_refilled_objects] += central->refilled;
    out->value[SHARE_CLASS_flushes] += central->flushes;
    out->value[SHARE_CLASS_waits] += central->waits;
    lock_release(&central->lock);
}

static void add_large(const struct heap *heap, struct share_class *out)
{
    uint64_t objects = atomic_load_explicit(&heap->large_objects, memory_order_relaxed);
    uint64_t bytes = atomic_load_explicit(&heap->large_pages, memory_order_relaxed)
                     << NH_PAGE_SHIFT;
    out->value[SHARE_CLASS_live_objects] += objects;
    out->value[SHARE_CLASS_live_bytes] += bytes;
    out->value[SHARE_CLASS_spans] += objects;
    out->value[SHARE_CLASS_span_bytes] += bytes;
}

void stats_of_classes(struct share_class out[NH_CLASSES])
{
    for (unsigned cls = 0; cls < NH_CLASSES; cls++)
        out[cls] = (struct share_class){.object_bytes = cls == 0 ? 0 : size_class_bytes(cls)};
    for (struct heap *heap = NULL; (heap = heap_after(heap)) != NULL;) {
        uint64_t caches, in_caches[NH_CLASSES];
        cache_count(heap, &caches, in_caches);
        add_large(heap, &out[0]);
        for (unsigned i = 1; i <= heap_centrals(heap); i++) {
            unsigned cls = heap->central[i].cls;
            add_class(&heap->central[i], in_caches[cls], &out[cls]);
        }
    }
    for (unsigned cls = 1; cls < NH_CLASSES; cls++)
        out[cls].value[SHARE_CLASS_live_bytes] =
            out[cls].value[SHARE_CLASS_live_objects] * out[cls].object_bytes;
}
