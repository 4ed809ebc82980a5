/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * span_table.h - from any address to what is there: a two-level radix over the
 * whole user address space.
 *
 * A leaf covers 4 GiB and has two entries for each heap page in it:
 *  - the home word, what free() needs: the byte offset of the bin that the
 *    page's objects belong to, counted from the first row of a thread's cache
 *    (heap slot and size class in one number, row.h).  0 for every page
 *    whose address cannot be freed directly: foreign pages, free spans, the
 *    pages of a large object after its first.
 *  - the span pointer, for everything else.
 * Pages without a leaf read as zero words from a table of zeros, so that a
 * lookup has no branch but the bound of the address.
 *
 * Who may read, and why it is right:
 *  (A) Home words, by who holds an object there, that is free(p): relaxed loads.  The
 *      caller got p from a malloc that followed the store of the word and the leaf,
 *      and passing p between threads orders the two (the program owes that).  The
 *      object pins its span, and so leaf and word.  For an address that the program
 *      does not hold, any word may be read; then the program is wrong already, and
 *      the checks behind the fast path decide.
 *  (B) Span pointers, by who holds an object there or the lock of the page heap whose
 *      memory it is: acquire loads, paired with the release stores of span_table_set.
 *      Of memory that is held nothing is stale, and its leaf is pinned as in (A).
 *  (C) Span pointers, by anybody: nothing that a reader may ever follow is unmapped.  A
 *      leaf that describes nothing any more is taken out of the table and its memory
 *      given back, but its addresses stay a leaf, of zeros until it is one for other
 *      addresses; so are descriptors always descriptors.  A reader who still has a
 *      pointer to either reads NULL, or what is said of other addresses, and (D) tells.
 *      So there is no section to enter, nothing to register, nobody to wait for.
 *  (D) Descriptors, by who found one under (C): made whole by their version (span.h);
 *      span_table_find believes one only when it was at rest and holds the address.
 *      Ranges of descriptors at rest do not overlap, so an answer is exact for one
 *      moment during the call.  Of an object that is held during the call it is exact for
 *      all of it: its span does not change, and its entries are not stale, by (B).
 *  (E) Addresses within a free span, whose entries are stale but for three: by (C) and
 *      (D) for one of its inner pages, which is reached from any of them
 *      (span_table_set_free).
 *  (F) New leaves: published by release, read by acquire or, on free's path, through
 *      the dependency of (A).
 */
#ifndef NH_SPAN_TABLE_H
#define NH_SPAN_TABLE_H

#include "limits.h"
#include "span.h"

#define TABLE_LEAF_SHIFT 32
#define TABLE_LEAF_PAGES ((size_t)1 << (TABLE_LEAF_SHIFT - NH_PAGE_SHIFT))
/* free takes the index of a leaf as a 16-bit word. */
#define TABLE_LEAVES ((size_t)1 << (NH_ADDRESS_BITS - TABLE_LEAF_SHIFT))

/* The leaf's first half; span pointers follow it in memory. */
struct table_leaf {
    _Atomic uint32_t home[TABLE_LEAF_PAGES];
    _Atomic(struct span *) span[TABLE_LEAF_PAGES];
};

/* All zeros until leaves are added; untouched pages of it cost nothing.  An
 * entry of `leaf` is the distance in bytes from `none` to the leaf, so that
 * the zero of a fresh process already means "the table of zeros". */
struct span_table {
    _Atomic intptr_t leaf[TABLE_LEAVES];
    _Atomic uint32_t none[TABLE_LEAF_PAGES];
};
extern struct span_table span_table __attribute__((visibility("hidden")));

/* Cost: seven instructions, two dependent loads, no branch.  Guarantee (A).
 * Bits of the address above the 48th are not looked at: no pointer of ours has
 * any, and the rare wild pointer that differs from one only there is found out
 * when it comes back to its span. */
NH_INLINE uint32_t span_table_home(uintptr_t address)
{
    const struct span_table *table = &span_table;
    /* One register for both uses: the compiler would compute a second address. */
    __asm__("" : "+r"(table));
    const char *leaf = (const char *)table +
                       atomic_load_explicit(&table->leaf[(uint16_t)(address >> TABLE_LEAF_SHIFT)],
                                            memory_order_relaxed);
    __asm__("" : "+r"(leaf));
    const _Atomic uint32_t *home =
        (const _Atomic uint32_t *)(const void *)(leaf + offsetof(struct span_table, none));
    return atomic_load_explicit(&home[(uint32_t)address >> NH_PAGE_SHIFT], memory_order_relaxed);
}
NH_STATIC(TABLE_LEAF_SHIFT == 32, "the index within a leaf is the low word of the address");
NH_STATIC(TABLE_LEAVES == (size_t)UINT16_MAX + 1, "the index of a leaf is the next 16 bits");

/* The leaf of an address, or NULL. */
NH_INLINE struct table_leaf *span_table_leaf(uintptr_t address)
{
    uintptr_t high = address >> TABLE_LEAF_SHIFT;
    if (nh_unlikely(high >= TABLE_LEAVES))
        return NULL;
    intptr_t distance = atomic_load_explicit(&span_table.leaf[high], memory_order_acquire);
    if (nh_unlikely(distance == 0))
        return NULL;
    return (struct table_leaf *)((uintptr_t)span_table.none + (uintptr_t)distance);
}

NH_INLINE size_t span_table_page(uintptr_t address)
{
    return (address >> NH_PAGE_SHIFT) & (TABLE_LEAF_PAGES - 1);
}

/* What is written of a large object of so many pages. */
NH_INLINE uint64_t span_table_bytes(size_t pages)
{
    return pages * sizeof(struct span *);
}

/* Pages of new leaves for so many pages, at most: these may lie across the end of one. */
NH_INLINE size_t span_table_leaf_pages(size_t pages)
{
    size_t leaves = (pages + 2 * TABLE_LEAF_PAGES - 1) / TABLE_LEAF_PAGES;
    return leaves * (sizeof(struct table_leaf) >> NH_PAGE_SHIFT);
}

/* The span pointer of an address's page, possibly stale, or NULL.  Guarantees (B), (C). */
NH_INLINE struct span *span_table_hint(uintptr_t address)
{
    struct table_leaf *leaf = span_table_leaf(address);
    if (nh_unlikely(leaf == NULL))
        return NULL;
    return atomic_load_explicit(&leaf->span[span_table_page(address)], memory_order_acquire);
}

/* What lies at an address. */
enum span_found {
    SPAN_NONE,    /* no memory of ours */
    SPAN_UNKNOWN, /* ours, but its span changed whenever it was looked at */
    SPAN_FOUND    /* an IN_USE, MANUAL or FREE span */
};
/* Looks at any address whatever; *out is set when a span is found.  Takes no lock, waits
 * for nobody, cannot fault, and may be called from signal handlers.  Guarantees (C)
 * to (E). */
NH_SLOW enum span_found span_table_find_again(uintptr_t address, struct span_view *out);
NH_INLINE enum span_found span_table_find(uintptr_t address, struct span_view *out)
{
    const struct span *span = span_table_hint(address);
    if (nh_likely(span != NULL) && nh_likely(span_read(span, out)) &&
        nh_likely(span_view_holds(out, address)))
        return SPAN_FOUND;
    return span_table_find_again(address, out); /* it may be changing, or inside a free span */
}

/* The span pointer, possibly stale, of the first page at or after *address that
 * has one; *address becomes that page's.  NULL at the end.  For walks; takes
 * some tenths of a millisecond for each leaf. */
struct span *span_table_next(uintptr_t *address);

/* Makes leaves for [base, base + pages), which is memory of ours from now on; false
 * without memory.  After that the setters cannot fail for that range. */
bool span_table_cover(uintptr_t base, size_t pages);
/* Memory of the size of a leaf, zeroed, which becomes one. */
void span_table_adopt(void *leaf);
/* ... and is not any more, with home words and span pointers cleared: for each
 * span_table_cover once, whether in the same parts or others.  The memory of leaves that
 * are left with nothing of ours is given back. */
void span_table_uncover(uintptr_t base, size_t pages);
/* Clears span pointers. */
void span_table_clear(uintptr_t first, size_t pages);
/* How many leaves there are now. */
size_t span_table_leaves(void);
/* Points one page to `span`. */
NH_INLINE void span_table_set_page(uintptr_t address, struct span *span)
{
    atomic_store_explicit(&span_table_leaf(address)->span[span_table_page(address)], span,
                          memory_order_release);
}
/* Points the first and the last page of a span to it, or with NULL to none: what neighbours look
 * at when they are freed. */
NH_INLINE void span_table_set_ends(const struct span *of, struct span *span)
{
    span_table_set_page(of->base, span);
    span_table_set_page(span_end(of) - NH_PAGE, span);
}
/* Points the pages from `first` on, `pages` of them, to `span`. */
void span_table_set(uintptr_t first, size_t pages, struct span *span);
/* Points the first and the last page of a free span to it, and the one page by which
 * lookups find it. */
void span_table_set_free(struct span *span);
NH_INLINE void span_table_set_home_page(uintptr_t address, uint32_t home)
{
    atomic_store_explicit(&span_table_leaf(address)->home[span_table_page(address)], home,
                          memory_order_relaxed);
}
void span_table_set_home(uintptr_t first, size_t pages, uint32_t home);
/* Makes the home word of one page 0 and returns what it was: of two that free
 * the same large object, one gets it. */
uint32_t span_table_claim_home(uintptr_t address);

/* When the process boots. */
void span_table_boot(void);
/* fork: take and give the lock of growth. */
void span_table_lock(void);
void span_table_unlock(void);

#endif
