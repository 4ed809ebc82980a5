/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * span_table.c - the writers' side of span_table.h.
 */
#include "span_table.h"

#include "guard_map.h"
#include "lock.h"
#include "os.h"

struct span_table span_table;
static NH_TOGETHER struct lock growth = LOCK_INIT(LOCK_TABLE);
/* Guarded by growth: */
static uint32_t covered[TABLE_LEAVES]; /* pages of ours in each leaf */
static NH_TOGETHER size_t leaves;
static intptr_t spare[TABLE_LEAVES]; /* leaves that are none now, as in span_table.leaf */
static NH_TOGETHER size_t spares;

void span_table_boot(void)
{
    /* Few of its pages are ever written, and it is longer than a huge page. */
    uintptr_t base = round_down((uintptr_t)&span_table, os_page());
    uintptr_t end = round_up((uintptr_t)(&span_table + 1), os_page());
    os_advise_huge((void *)base, end - base, OS_HUGE_NEVER);
}

/* Looks at a descriptor again so often while it changes. */
#define LOOKS 64

static enum span_found look(uintptr_t at, uintptr_t address, struct span_view *out)
{
    enum span_found found = SPAN_NONE;
    for (unsigned i = 0; i < LOOKS; i++) {
        const struct span *span = span_table_hint(at);
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

enum span_found span_table_find_again(uintptr_t address, struct span_view *out)
{
    enum span_found found = look(address, address, out);
    if (nh_likely(found == SPAN_FOUND) || span_table_leaf(address) == NULL)
        return found;
    enum span_found around = look_around(address, out);
    return around != SPAN_NONE ? around : found;
}

struct span *span_table_next(uintptr_t *address)
{
    uintptr_t high = *address >> TABLE_LEAF_SHIFT;
    size_t page = span_table_page(*address);
    for (; high < TABLE_LEAVES; high++, page = 0) {
        /* Once for all its entries: should it become one for other addresses meanwhile, what
         * is found is no more stale than it may be. */
        struct table_leaf *leaf = span_table_leaf(high << TABLE_LEAF_SHIFT);
        for (; leaf != NULL && page < TABLE_LEAF_PAGES; page++) {
            struct span *span = atomic_load_explicit(&leaf->span[page], memory_order_acquire);
            if (span != NULL) {
                *address = (high << TABLE_LEAF_SHIFT) + (page << NH_PAGE_SHIFT);
                return span;
            }
        }
    }
    return NULL;
}

/* ---- Leaves come and go ---- */

/* Pages of [at, end) that are in the first one's leaf. */
static size_t pages_in_leaf(uintptr_t at, uintptr_t end)
{
    uintptr_t border = ((at >> TABLE_LEAF_SHIFT) + 1) << TABLE_LEAF_SHIFT;
    return ((end < border ? end : border) - at) >> NH_PAGE_SHIFT;
}

static intptr_t distance_of(const void *leaf)
{
    return (intptr_t)((uintptr_t)leaf - (uintptr_t)span_table.none);
}

void span_table_adopt(void *leaf)
{
    lock_acquire(&growth);
    spare[spares++] = distance_of(leaf);
    lock_release(&growth);
}

/* Under the lock: a leaf for `high` if there is none. */
static bool make_leaf(uintptr_t high)
{
    if (atomic_load_explicit(&span_table.leaf[high], memory_order_relaxed) != 0)
        return true;
    if (spares == 0) {
        void *leaf = guard_map(sizeof(struct table_leaf));
        if (leaf == NULL)
            return false;
        /* A huge page under it would be resident at its first entry. */
        os_advise_huge(leaf, sizeof(struct table_leaf), OS_HUGE_NEVER);
        spare[spares++] = distance_of(leaf);
    }
    atomic_store_explicit(&span_table.leaf[high], spare[--spares], memory_order_release);
    leaves++;
    return true;
}

/* The leaf of `high`, in which all is cleared.  Its memory goes back to the system; its
 * addresses stay a leaf's, since somebody may be about to read there (C).  Lets go of the
 * lock meanwhile.  (NH_BREAK_RETIRE: the test that must find out.) */
static void drop_leaf(uintptr_t high)
{
    intptr_t distance = atomic_load_explicit(&span_table.leaf[high], memory_order_relaxed);
    void *leaf = (void *)((uintptr_t)span_table.none + (uintptr_t)distance);
    atomic_store_explicit(&span_table.leaf[high], 0, memory_order_relaxed);
    leaves--;
    lock_release(&growth);
#ifdef NH_BREAK_RETIRE
    (void)os_unmap(leaf, sizeof(struct table_leaf));
    lock_acquire(&growth);
#else
    /* If the system refuses (locked memory), it is zero all the same. */
    (void)os_release(leaf, sizeof(struct table_leaf));
    lock_acquire(&growth);
    spare[spares++] = distance;
#endif
}

bool span_table_cover(uintptr_t base, size_t pages)
{
    uintptr_t end = base + (pages << NH_PAGE_SHIFT);
    if (end - 1 < base || (end - 1) >> TABLE_LEAF_SHIFT >= TABLE_LEAVES)
        return false;
    lock_acquire(&growth);
    uintptr_t at = base;
    while (at < end && make_leaf(at >> TABLE_LEAF_SHIFT)) {
        size_t here = pages_in_leaf(at, end);
        covered[at >> TABLE_LEAF_SHIFT] += (uint32_t)here;
        at += here << NH_PAGE_SHIFT;
    }
    lock_release(&growth);
    if (at < end)
        span_table_uncover(base, (at - base) >> NH_PAGE_SHIFT);
    return at >= end;
}

void span_table_uncover(uintptr_t base, size_t pages)
{
    uintptr_t end = base + (pages << NH_PAGE_SHIFT);
    lock_acquire(&growth);
    for (uintptr_t at = base; at < end;) {
        uintptr_t high = at >> TABLE_LEAF_SHIFT;
        size_t here = pages_in_leaf(at, end);
        nh_assert(covered[high] >= here);
        covered[high] -= (uint32_t)here;
        if (covered[high] == 0)
            drop_leaf(high);
        at += here << NH_PAGE_SHIFT;
    }
    lock_release(&growth);
}

size_t span_table_leaves(void)
{
    lock_acquire(&growth);
    size_t n = leaves;
    lock_release(&growth);
    return n;
}

/* ---- Entries ---- */

void span_table_clear(uintptr_t first, size_t pages)
{
    /* A look first: what was never written is not resident, and stays so. */
    for (; pages > 0; pages--, first += NH_PAGE)
        if (span_table_hint(first) != NULL)
            span_table_set_page(first, NULL);
}

/* Three instructions a page: large objects have many. */
void span_table_set(uintptr_t first, size_t pages, struct span *span)
{
    nh_assert(first % NH_PAGE == 0);
    for (uintptr_t end = first + (pages << NH_PAGE_SHIFT); first < end;) {
        size_t here = pages_in_leaf(first, end);
        _Atomic(struct span *) *at = &span_table_leaf(first)->span[span_table_page(first)];
        first += here << NH_PAGE_SHIFT;
        for (_Atomic(struct span *) *behind = at + here; at < behind; at++)
            atomic_store_explicit(at, span, memory_order_release);
    }
}

void span_table_set_free(struct span *span)
{
    uintptr_t last = span_end(span) - NH_PAGE;
    span_table_set_ends(span, span);
    /* From the top bit down the two addresses agree until a bit is clear in the first
     * and set in the last.  With all bits below that one cleared the last is `middle`.
     * So is every page from there on; every page before it is so with a carry. */
    uintptr_t differ = span->base ^ last;
    if (differ == 0)
        return;
    uintptr_t bit = (uintptr_t)1 << (63 - __builtin_clzll(differ));
    uintptr_t middle = round_down(last, bit);
    if (middle != last)
        span_table_set_page(middle, span);
}

void span_table_set_home(uintptr_t first, size_t pages, uint32_t home)
{
    for (uintptr_t end = first + (pages << NH_PAGE_SHIFT); first < end;) {
        size_t here = pages_in_leaf(first, end);
        _Atomic uint32_t *at = &span_table_leaf(first)->home[span_table_page(first)];
        first += here << NH_PAGE_SHIFT;
        for (_Atomic uint32_t *behind = at + here; at < behind; at++)
            atomic_store_explicit(at, home, memory_order_relaxed);
    }
}

uint32_t span_table_claim_home(uintptr_t address)
{
    /* Relaxed: the object's contents are the freeing thread's business. */
    return atomic_exchange_explicit(&span_table_leaf(address)->home[span_table_page(address)], 0,
                                    memory_order_relaxed);
}

void span_table_lock(void)
{
    lock_acquire_again(&growth);
}

void span_table_unlock(void)
{
    lock_release_again(&growth);
}
