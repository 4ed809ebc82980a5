/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * node_limit.c - see node_limit.h.
 */
#include "node_limit.h"

#include "limits.h"
#include "numa/topology.h"
#include "options.h"

#include <string.h>

static bool valid; /* guarded, as the option, by the lock of heaps' creation, after boot */

/* Reads a number with an optional suffix; NULL when there is none or it is too
 * large. */
static const char *read_number(const char *at, bool suffix, size_t *out)
{
    static const char suffixes[] = "kmg";
    if (*at < '0' || *at > '9')
        return NULL;
    size_t n = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *at - '0', &n))
            return NULL;
    const char *found = suffix && *at != '\0' ? strchr(suffixes, *at | 0x20) : NULL;
    if (found != NULL && *found != '\0') {
        if (__builtin_mul_overflow(n, (size_t)1 << (10 * (found - suffixes + 1)), &n))
            return NULL;
        at++;
    }
    *out = n;
    return at;
}

/* Reads NODE=SIZE at `*next`, which becomes where the next one begins, NULL behind the last;
 * false when it is ill-formed. */
static bool read_entry(const char **next, size_t *node, size_t *bytes)
{
    const char *at = read_number(*next, false, node);
    if (at == NULL || *at != '=')
        return false;
    at = read_number(at + 1, true, bytes);
    if (at == NULL || (*at != '\0' && *at != ','))
        return false;
    *next = *at == ',' ? at + 1 : NULL;
    return true;
}

bool node_limit_parse(const char *text, int node, size_t *bytes)
{
    *bytes = SIZE_MAX;
    if (*text == '\0')
        return true;
    if (strchr(text, '=') == NULL) {
        const char *end = read_number(text, true, bytes);
        return end != NULL && *end == '\0';
    }
    for (const char *at = text; at != NULL;) {
        size_t which, limit;
        if (!read_entry(&at, &which, &limit))
            return false;
        if (which == (size_t)node)
            *bytes = limit;
    }
    return true;
}

/* Whether a list that is well-formed, or NULL, limits the node. */
static bool list_limits(const char *list, size_t node)
{
    size_t which, bytes;
    for (const char *at = list; at != NULL && read_entry(&at, &which, &bytes);)
        if (which == node)
            return true;
    return false;
}

/* What one limit of the value cannot be; true when nothing was added. */
static bool is_room(const char *text, size_t bytes, struct text *problem)
{
    if (bytes >= NH_PAGE)
        return true;
    text_add(problem,
             "%s=%s: a limit of less than %zu bytes leaves no memory (the empty value sets none)",
             options_row(OPT_NODE_LIMIT)->variable, text, NH_PAGE);
    return false;
}

bool node_limit_is_sound(const char *text, struct text *problem)
{
    const char *variable = options_row(OPT_NODE_LIMIT)->variable;
    size_t node, bytes;
    if (!node_limit_parse(text, 0, &bytes)) {
        text_add(problem, "%s=%s is not " NODE_LIMIT_FORM, variable, text);
        return false;
    }
    if (strchr(text, '=') == NULL)
        return is_room(text, bytes, problem);
    for (const char *at = text; at != NULL && read_entry(&at, &node, &bytes);) {
        if (!is_room(text, bytes, problem))
            return false;
        if (list_limits(at, node)) {
            text_add(problem, "%s=%s limits node %zu twice", variable, text, node);
            return false;
        }
    }
    return true;
}

bool node_limit_is_of_nodes(const char *text, struct text *problem)
{
    size_t node, bytes;
    if (strchr(text, '=') == NULL)
        return true;
    for (const char *at = text; at != NULL && read_entry(&at, &node, &bytes);) {
        if (!topology_has_node(topology_now(), node)) {
            text_add(problem, "%s=%s: there is no node %zu with memory",
                     options_row(OPT_NODE_LIMIT)->variable, text, node);
            return false;
        }
    }
    return true;
}

void node_limit_check(void)
{
    const char *limit = options_text(OPT_NODE_LIMIT);
    char buffer[NH_LINE_MAX];
    struct text problem = {.at = buffer, .room = sizeof buffer};
    valid = node_limit_is_sound(limit, &problem);
    if (!valid)
        log_line(LOG_ERROR, "%s; no limit is used", buffer);
    else if (!node_limit_is_of_nodes(limit, &problem))
        log_line(LOG_WARNING, "%s; other limits hold", buffer);
}

void node_limit_change(const char *text)
{
    options_set_text(OPT_NODE_LIMIT, text);
    valid = true;
}

size_t node_limit_pages(unsigned slot)
{
    size_t bytes;
    if (!valid || slot == NH_HEAP_INTERLEAVED ||
        !node_limit_parse(options_text(OPT_NODE_LIMIT), topology_now()->os_node[slot], &bytes))
        return SIZE_MAX;
    return bytes == SIZE_MAX ? SIZE_MAX : bytes >> NH_PAGE_SHIFT;
}
