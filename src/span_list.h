/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * span_list.h - a doubly linked list of spans through next and prev.
 *
 * Pure; whoever owns the list holds its lock.
 */
#ifndef NH_SPAN_LIST_H
#define NH_SPAN_LIST_H

#include "span.h"

struct span_list {
    struct span *first;
};

static inline bool span_list_is_empty(const struct span_list *list)
{
    return list->first == NULL;
}

static inline void span_list_push(struct span_list *list, struct span *span)
{
    span->prev = NULL;
    span->next = list->first;
    if (list->first != NULL)
        list->first->prev = span;
    list->first = span;
}

static inline void span_list_remove(struct span_list *list, struct span *span)
{
    if (span->prev != NULL)
        span->prev->next = span->next;
    else
        list->first = span->next;
    if (span->next != NULL)
        span->next->prev = span->prev;
    span->next = span->prev = NULL;
}

#endif
