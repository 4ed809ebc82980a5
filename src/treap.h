/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * treap.h - free spans ordered by (pages, base): best fit in O(log n).
 *
 * A binary search tree by key and a heap by random priority, so that its depth
 * is logarithmic whatever order spans come and go in; after Aragon & Seidel
 * 1989, as the Go runtime's freelarge.  The links lie in the spans themselves.
 * Pure: no locks, no allocation, never touches the pages.
 */
#ifndef NH_TREAP_H
#define NH_TREAP_H

#include "span.h"

struct treap {
    struct span *root;
    uint64_t random; /* state of the generator of priorities; any value */
};

/* `span` is in no treap; its pages and base stay as they are while it is. */
void treap_insert(struct treap *treap, struct span *span);
/* `span` is in this treap. */
void treap_remove(struct treap *treap, struct span *span);
/* The smallest span of at least `pages`, the lowest address among equals, or
 * NULL; it stays in the treap. */
struct span *treap_best_fit(const struct treap *treap, size_t pages);
/* The last span in key order that comes before this key, or NULL: before SIZE_MAX pages a
 * longest one. */
struct span *treap_before(const struct treap *treap, size_t pages, uintptr_t base);

#endif
