/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * top_list.h - the processes that nearheap-top looks at: one, or all that share a page.
 */
#ifndef TOP_LIST_H
#define TOP_LIST_H

#include "top_page.h"

/* Each has a descriptor and memory: of one user there are no more, whoever starts how many. */
#define TOP_LIST_OF_USER 1024

struct top_list {
    struct top_process **item; /* by number */
    size_t count, room;
    size_t left_out; /* pages of users who have too many, at the last top_list_find */
};

/* Adds one process; what became of that. */
enum top_found top_list_add(struct top_list *list, long pid);
/* Adds those whose pages the caller may read and that are not in it, as far as the system
 * gives descriptors for them; drops those that have ended. */
void top_list_find(struct top_list *list);
/* Reads all again. */
void top_list_refresh(struct top_list *list);
void top_list_clear(struct top_list *list);

#endif
