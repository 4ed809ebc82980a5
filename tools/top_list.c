/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * top_list.c - see top_list.h.
 */
#include "top_list.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    const struct top_process *const *left = a, *const *right = b;
    int64_t l = (*left)->header.pid, r = (*right)->header.pid;
    return (l > r) - (l < r);
}

static void sort(struct top_list *list)
{
    if (list->count > 1)
        qsort(list->item, list->count, sizeof list->item[0], compare);
}

static void *enough(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

enum top_found top_list_add(struct top_list *list, long pid)
{
    struct top_process *process = enough(malloc(sizeof *process));
    enum top_found found = top_open(pid, process);
    if (found != TOP_FOUND) {
        free(process);
        return found;
    }
    if (list->count == list->room) {
        list->room = list->room * 2 + 1;
        list->item = enough(realloc(list->item, list->room * sizeof list->item[0]));
    }
    list->item[list->count++] = process;
    return TOP_FOUND;
}

static void drop(struct top_process *process)
{
    top_close(process);
    free(process);
}

static void add_if_new(long pid, void *arg)
{
    struct top_list *list = arg;
    for (size_t i = 0; i < list->count; i++)
        if (list->item[i]->header.pid == pid)
            return;
    (void)top_list_add(list, pid);
}

void top_list_find(struct top_list *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (top_has_ended(list->item[i]))
            drop(list->item[i]);
        else
            list->item[kept++] = list->item[i];
    list->count = kept;
    top_each(add_if_new, list);
    sort(list);
}

void top_list_refresh(struct top_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        (void)top_refresh(list->item[i]);
}

void top_list_clear(struct top_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        drop(list->item[i]);
    free(list->item);
    *list = (struct top_list){0};
}
