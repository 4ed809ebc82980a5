/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * free_set.c - see free_set.h.
 */
#include "free_set.h"

void free_set_insert(struct free_set *set, struct span *span)
{
    set->pages += span->pages;
    if (span->pages >= NH_LISTED_PAGES) {
        treap_insert(&set->longer, span);
        return;
    }
    span_list_push(&set->list[span->pages], span);
    set->nonempty[span->pages / 64] |= (uint64_t)1 << span->pages % 64;
}

void free_set_remove(struct free_set *set, struct span *span)
{
    set->pages -= span->pages;
    if (span->pages >= NH_LISTED_PAGES) {
        treap_remove(&set->longer, span);
        return;
    }
    struct span_list *list = &set->list[span->pages];
    span_list_remove(list, span);
    if (span_list_is_empty(list))
        set->nonempty[span->pages / 64] &= ~((uint64_t)1 << span->pages % 64);
}

struct span *free_set_fit(const struct free_set *set, size_t pages)
{
    if (pages < NH_LISTED_PAGES) {
        uint64_t mask = ~(uint64_t)0 << pages % 64;
        for (size_t word = pages / 64; word < NH_LISTED_PAGES / 64; word++) {
            uint64_t found = set->nonempty[word] & mask;
            if (found != 0)
                return set->list[word * 64 + (size_t)__builtin_ctzll(found)].first;
            mask = ~(uint64_t)0;
        }
    }
    return treap_best_fit(&set->longer, pages);
}
