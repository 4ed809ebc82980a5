/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * span_table.c - the writers' side of span_table.h.
 */
#include "span_table.h"

#include "lock.h"
#include "os.h"

struct span_table span_table;
static struct lock growth = LOCK_INIT(LOCK_TABLE);

static struct table_leaf *leaf_at(uintptr_t address)
{
    uintptr_t high = address >> TABLE_LEAF_SHIFT;
    if (high >= TABLE_LEAVES)
        return NULL;
    intptr_t distance = atomic_load_explicit(&span_table.leaf[high], memory_order_acquire);
    if (distance == 0)
        return NULL;
    return (struct table_leaf *)((uintptr_t)span_table.none + (uintptr_t)distance);
}

static size_t page_in_leaf(uintptr_t address)
{
    return (address >> NH_PAGE_SHIFT) & (TABLE_LEAF_PAGES - 1);
}

struct span *span_table_hint(uintptr_t address)
{
    struct table_leaf *leaf = leaf_at(address);
    if (leaf == NULL)
        return NULL;
    return atomic_load_explicit(&leaf->span[page_in_leaf(address)], memory_order_acquire);
}

struct span *span_table_find(uintptr_t address)
{
    struct span *span = span_table_hint(address);
    if (span == NULL || span_state(span) == SPAN_DEAD || address < span->base ||
        address >= span_end(span))
        return NULL;
    return span;
}

struct span *span_table_next(uintptr_t *address)
{
    uintptr_t at = round_down(*address, NH_PAGE);
    while (at >> TABLE_LEAF_SHIFT < TABLE_LEAVES) {
        struct table_leaf *leaf = leaf_at(at);
        uintptr_t end = ((at >> TABLE_LEAF_SHIFT) + 1) << TABLE_LEAF_SHIFT;
        for (; leaf != NULL && at != end; at += NH_PAGE) {
            struct span *span =
                atomic_load_explicit(&leaf->span[page_in_leaf(at)], memory_order_acquire);
            if (span != NULL) {
                *address = at;
                return span;
            }
        }
        at = end;
    }
    return NULL;
}

bool span_table_cover(uintptr_t base, size_t pages)
{
    uintptr_t last = base + (pages << NH_PAGE_SHIFT) - 1;
    for (uintptr_t high = base >> TABLE_LEAF_SHIFT; high <= last >> TABLE_LEAF_SHIFT; high++) {
        if (high >= TABLE_LEAVES)
            return false;
        if (atomic_load_explicit(&span_table.leaf[high], memory_order_acquire) != 0)
            continue;
        lock_acquire(&growth);
        if (atomic_load_explicit(&span_table.leaf[high], memory_order_relaxed) == 0) {
            void *leaf = os_map(sizeof(struct table_leaf), NH_SYSTEM_PAGE, 0);
            /* A huge page under it would be resident at its first entry. */
            if (leaf != NULL)
                os_advise_huge(leaf, sizeof(struct table_leaf), OS_HUGE_NEVER);
            if (leaf != NULL)
                atomic_store_explicit(&span_table.leaf[high],
                                      (intptr_t)((uintptr_t)leaf - (uintptr_t)span_table.none),
                                      memory_order_release);
        }
        bool covered = atomic_load_explicit(&span_table.leaf[high], memory_order_relaxed) != 0;
        lock_release(&growth);
        if (!covered)
            return false;
    }
    return true;
}

void span_table_set(uintptr_t first, size_t pages, struct span *span)
{
    for (; pages > 0; pages--, first += NH_PAGE)
        atomic_store_explicit(&leaf_at(first)->span[page_in_leaf(first)], span,
                              memory_order_release);
}

void span_table_set_home(uintptr_t first, size_t pages, uint32_t home)
{
    for (; pages > 0; pages--, first += NH_PAGE)
        atomic_store_explicit(&leaf_at(first)->home[page_in_leaf(first)], home,
                              memory_order_relaxed);
}

uint32_t span_table_claim_home(uintptr_t address)
{
    /* Relaxed: the object's contents are the freeing thread's business. */
    return atomic_exchange_explicit(&leaf_at(address)->home[page_in_leaf(address)], 0,
                                    memory_order_relaxed);
}

void span_table_lock(void)
{
    lock_acquire(&growth);
}

void span_table_unlock(void)
{
    lock_release(&growth);
}
