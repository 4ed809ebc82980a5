/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * heap_inbox.c - objects on their way home: whole magazines from threads of
 * other nodes, put into their spans by threads of this one.
 *
 * Where an object's span is described, and its free bits are, is memory of its
 * home node.  A thread of another node touches one line of it for a magazine's
 * worth of objects; the home's threads, which refill from these spans, do the
 * rest, a magazine at each refill.
 */
#include "bad_pointer.h"
#include "heap.h"
#include "special.h"

/* Magazines that wait at most; the next sender unpacks its own. */
#define INBOX_MOST 16

void heap_unpack(struct magazine *magazine)
{
    while (magazine->count != 0) {
        /* All objects with the home of the last one; the others close up. */
        void *batch[MAGAZINE_ROUNDS];
        unsigned n = 0, kept = 0;
        batch[n++] = magazine->slot[--magazine->count];
        uint32_t word = object_home(batch[0]);
        for (unsigned i = 0; i < magazine->count; i++) {
            void *object = magazine->slot[i];
            if (object_home(object) == word)
                batch[n++] = object;
            else
                magazine->slot[kept++] = object;
        }
        magazine->count = (uint16_t)kept;
        unsigned cls = row_home_class(word);
        if (nh_unlikely(cls == 0 || cls >= NH_CLASSES)) { /* its span went meanwhile */
            for (unsigned i = 0; i < n; i++)
                bad_pointer_report("free", batch[i]);
            continue;
        }
        central_put(heap_central(heap_if_exists(row_home_slot(word)), cls), batch, n);
    }
    fixalloc_put(&heap_if_exists(magazine->maker)->magazines, magazine);
}

void heap_unpack_all(struct magazine *list)
{
    while (list != NULL) {
        struct magazine *next = list->next;
        heap_unpack(list);
        list = next;
    }
}

void heap_send(struct heap *home, struct magazine *magazine)
{
    atomic_fetch_add_explicit(&home->freed_from[magazine->maker], magazine->count,
                              memory_order_relaxed);
    /* The count is exact under the lock; a look at it bounds it well enough. */
    if (atomic_load_explicit(&home->inbox.count, memory_order_relaxed) >= INBOX_MOST) {
        heap_unpack(magazine);
        return;
    }
    lock_acquire(&home->inbox.lock);
    magazine->next = home->inbox.first;
    home->inbox.first = magazine;
    atomic_fetch_add_explicit(&home->inbox.count, 1, memory_order_relaxed);
    lock_release(&home->inbox.lock);
}

void heap_open_inbox(struct heap *heap, unsigned most)
{
    /* What comes meanwhile is for the next time, or there might be no end. */
    uint32_t waiting = atomic_load_explicit(&heap->inbox.count, memory_order_relaxed);
    if (most > waiting)
        most = waiting;
    while (most-- > 0 && atomic_load_explicit(&heap->inbox.count, memory_order_relaxed) != 0) {
        lock_acquire(&heap->inbox.lock);
        struct magazine *magazine = heap->inbox.first;
        if (magazine != NULL) {
            heap->inbox.first = magazine->next;
            atomic_fetch_sub_explicit(&heap->inbox.count, 1, memory_order_relaxed);
        }
        lock_release(&heap->inbox.lock);
        if (magazine != NULL)
            heap_unpack(magazine);
    }
}

void heap_inbox_each(struct heap *heap, void (*fn)(void *object, void *arg), void *arg)
{
    lock_acquire(&heap->inbox.lock);
    for (struct magazine *at = heap->inbox.first; at != NULL; at = at->next)
        for (unsigned i = 0; i < at->count; i++)
            fn(at->slot[i], arg);
    lock_release(&heap->inbox.lock);
}

void heap_open_all_inboxes(void)
{
    for (unsigned slot = 0; slot < NH_NODES_MAX; slot++)
        if (heap_if_exists(slot) != NULL)
            heap_open_inbox(heap_if_exists(slot), UINT32_MAX);
}
