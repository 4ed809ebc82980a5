/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * free_set.h - free spans of one kind, found by length: exact lists below
 * NH_LISTED_PAGES, a treap above.
 *
 * Pure; the page heap that owns it holds its lock.
 */
#ifndef NH_FREE_SET_H
#define NH_FREE_SET_H

#include "span_list.h"
#include "treap.h"

struct free_set {
    struct span_list list[NH_LISTED_PAGES];  /* [n]: spans of n pages */
    uint64_t nonempty[NH_LISTED_PAGES / 64]; /* bit n: list[n] has one */
    struct treap longer;
    size_t pages; /* in all of them */
};

void free_set_insert(struct free_set *set, struct span *span);
void free_set_remove(struct free_set *set, struct span *span);
/* A span of at least `pages`, the shortest there is, still in the set; NULL
 * if none is long enough. */
struct span *free_set_fit(const struct free_set *set, size_t pages);

#endif
