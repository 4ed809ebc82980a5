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

static struct top_process *new_process(void)
{
    return enough(calloc(1, sizeof(struct top_process)));
}

static void append(struct top_list *list, struct top_process *process)
{
    if (list->count == list->room) {
        list->room = list->room * 2 + 1;
        list->item = enough(realloc(list->item, list->room * sizeof list->item[0]));
    }
    list->item[list->count++] = process;
}

enum top_found top_list_add(struct top_list *list, long pid)
{
    struct top_process *process = new_process();
    enum top_found found = top_open(pid, process);
    if (found == TOP_FOUND)
        append(list, process);
    else
        free(process);
    return found;
}

static void drop(struct top_process *process)
{
    top_close(process);
    free(process);
}

static bool add_if_new(const struct top_page *page, void *arg)
{
    struct top_list *list = arg;
    unsigned of_user = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (list->item[i]->header.pid == page->pid)
            return false;
        of_user += list->item[i]->user == page->user;
    }
    if (of_user >= TOP_LIST_OF_USER) {
        list->left_out++;
        return false;
    }
    struct top_process *process = new_process();
    if (top_read(page, process) != TOP_FOUND) {
        free(process);
        return false;
    }
    append(list, process);
    return true;
}

void top_list_find(struct top_list *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (top_has_ended(list->item[i]) || top_is_replaced(list->item[i]))
            drop(list->item[i]);
        else
            list->item[kept++] = list->item[i];
    list->count = kept;
    list->left_out = 0;
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
