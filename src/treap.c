/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * treap.c - see treap.h.  No recursion: insertion splits and removal merges
 * on the way down, through a pointer to the link that is to be set next.
 */
#include "treap.h"

#include "splitmix.h"

static bool before(const struct span *a, const struct span *b)
{
    return a->pages != b->pages ? a->pages < b->pages : a->base < b->base;
}

void treap_insert(struct treap *treap, struct span *span)
{
    span->idle.priority = (uint32_t)(splitmix(&treap->random) >> 32);
    struct span **link = &treap->root;
    while (*link != NULL && (*link)->idle.priority >= span->idle.priority)
        link = before(span, *link) ? &(*link)->idle.left : &(*link)->idle.right;

    /* `span` takes this place; what was below is split by key into its two
     * subtrees. */
    struct span *rest = *link;
    struct span **less = &span->idle.left, **more = &span->idle.right;
    *link = span;
    while (rest != NULL) {
        if (before(rest, span)) {
            *less = rest;
            less = &rest->idle.right;
            rest = rest->idle.right;
        } else {
            *more = rest;
            more = &rest->idle.left;
            rest = rest->idle.left;
        }
    }
    *less = NULL;
    *more = NULL;
}

void treap_remove(struct treap *treap, struct span *span)
{
    struct span **link = &treap->root;
    while (*link != span) {
        nh_require(*link != NULL);
        link = before(span, *link) ? &(*link)->idle.left : &(*link)->idle.right;
    }
    /* Merge the two subtrees into its place. */
    struct span *less = span->idle.left, *more = span->idle.right;
    while (less != NULL && more != NULL) {
        if (less->idle.priority >= more->idle.priority) {
            *link = less;
            link = &less->idle.right;
            less = less->idle.right;
        } else {
            *link = more;
            link = &more->idle.left;
            more = more->idle.left;
        }
    }
    *link = less != NULL ? less : more;
    span->idle.left = span->idle.right = NULL;
}

struct span *treap_best_fit(const struct treap *treap, size_t pages)
{
    struct span *best = NULL;
    for (struct span *at = treap->root; at != NULL;) {
        if (at->pages >= pages) {
            best = at;
            at = at->idle.left;
        } else {
            at = at->idle.right;
        }
    }
    return best;
}

struct span *treap_before(const struct treap *treap, size_t pages, uintptr_t base)
{
    struct span *last = NULL;
    for (struct span *at = treap->root; at != NULL;) {
        if (at->pages < pages || (at->pages == pages && at->base < base)) {
            last = at;
            at = at->idle.right;
        } else {
            at = at->idle.left;
        }
    }
    return last;
}
