/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * span_table.c - the writers' side of span_table.h.
 */
#include "span_table.h"

#include "lock.h"
#include "os.h"
#include "rseq.h"

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

/* Guarantee (C). */
struct span *span_table_peek(uintptr_t address)
{
    uintptr_t high = address >> TABLE_LEAF_SHIFT;
    if (high >= TABLE_LEAVES)
        return NULL;
    const _Atomic intptr_t *leaf = &span_table.leaf[high];
    size_t entry = offsetof(struct table_leaf, span) + page_in_leaf(address) * sizeof(void *);
    if (nh_unlikely(!rseq_known())) {
        intptr_t distance = atomic_load_explicit(leaf, memory_order_acquire);
        if (distance == 0)
            return NULL;
        /* It is published after the process has booted (F): if there are no sequences
         * even now, leaves stay. */
        if (!rseq_known())
            return span_table_hint(address);
    }
    return rseq_follow(leaf, (uintptr_t)span_table.none + entry);
}

/* Looks at a descriptor again so often while it changes. */
#define LOOKS 64

static enum span_found look(uintptr_t at, uintptr_t address, struct span_view *out)
{
    enum span_found found = SPAN_NONE;
    for (unsigned i = 0; i < LOOKS; i++) {
        const struct span *span = span_table_peek(at);
        if (span == NULL)
            return found;
        if (nh_likely(span_read(span, out)))
            return nh_likely(span_view_holds(out, address)) ? SPAN_FOUND : SPAN_NONE;
        found = SPAN_UNKNOWN;
    }
    return found;
}

/* The page of a free span that span_table_set_free marked: its address is that of any
 * other page of the span with some number of low bits cleared, or cleared and a carry
 * added.  How many is not known, but with each more only one of the two is new. */
static NH_SLOW enum span_found look_around(uintptr_t address, struct span_view *out)
{
    enum span_found found = SPAN_NONE;
    uintptr_t before = round_down(address, NH_PAGE);
    for (unsigned bits = NH_PAGE_SHIFT; bits < NH_ADDRESS_BITS; bits++) {
        uintptr_t down = round_down(address, (uintptr_t)1 << bits);
        uintptr_t other = down != before ? down : down + ((uintptr_t)1 << bits);
        before = down;
        enum span_found there = look(other, address, out);
        if (there == SPAN_FOUND)
            return there;
        if (there == SPAN_UNKNOWN)
            found = there;
    }
    return found;
}

enum span_found span_table_find(uintptr_t address, struct span_view *out)
{
    enum span_found found = look(address, address, out);
    if (nh_likely(found == SPAN_FOUND) || leaf_at(address) == NULL)
        return found;
    enum span_found around = look_around(address, out);
    return around != SPAN_NONE ? around : found;
}

struct span *span_table_next(uintptr_t *address)
{
    uintptr_t at = round_down(*address, NH_PAGE);
    while (at >> TABLE_LEAF_SHIFT < TABLE_LEAVES) {
        uintptr_t end = ((at >> TABLE_LEAF_SHIFT) + 1) << TABLE_LEAF_SHIFT;
        for (; at != end && leaf_at(at) != NULL; at += NH_PAGE) {
            struct span *span = span_table_peek(at);
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

void span_table_set_free(struct span *span)
{
    uintptr_t last = span_end(span) - NH_PAGE;
    span_table_set(span->base, 1, span);
    span_table_set(last, 1, span);
    /* From the top bit down the two addresses agree until a bit is clear in the first
     * and set in the last.  With all bits below that one cleared the last is `middle`.
     * So is every page from there on; every page before it is so with a carry. */
    uintptr_t differ = span->base ^ last;
    if (differ == 0)
        return;
    uintptr_t bit = (uintptr_t)1 << (63 - __builtin_clzll(differ));
    uintptr_t middle = round_down(last, bit);
    if (middle != last)
        span_table_set(middle, 1, span);
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
