/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * node_limit.c - see node_limit.h.
 */
#include "node_limit.h"

#include "limits.h"
#include "log.h"
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

bool node_limit_parse(const char *text, int node, size_t *bytes)
{
    *bytes = SIZE_MAX;
    if (*text == '\0')
        return true;
    if (strchr(text, '=') == NULL) {
        const char *end = read_number(text, true, bytes);
        return end != NULL && *end == '\0';
    }
    for (const char *at = text;; at++) {
        size_t which, limit;
        at = read_number(at, false, &which);
        if (at == NULL || *at != '=')
            return false;
        at = read_number(at + 1, true, &limit);
        if (at == NULL || (*at != '\0' && *at != ','))
            return false;
        if (which == (size_t)node)
            *bytes = limit;
        if (*at == '\0')
            return true;
    }
}

void node_limit_check(void)
{
    const char *text = options_text(OPT_NODE_LIMIT);
    size_t bytes;
    valid = node_limit_parse(text, 0, &bytes);
    if (!valid)
        log_line(LOG_ERROR, "NEARHEAP_NODE_LIMIT=%s is not " NODE_LIMIT_FORM "; no limit is used",
                 text);
}

bool node_limit_change(const char *text)
{
    size_t bytes;
    if (!node_limit_parse(text, 0, &bytes))
        return false;
    options_set_text(OPT_NODE_LIMIT, text);
    valid = true;
    return true;
}

size_t node_limit_pages(unsigned slot)
{
    size_t bytes;
    if (!valid || slot == NH_HEAP_INTERLEAVED ||
        !node_limit_parse(options_text(OPT_NODE_LIMIT), topology_now()->os_node[slot], &bytes))
        return SIZE_MAX;
    return bytes == SIZE_MAX ? SIZE_MAX : bytes >> NH_PAGE_SHIFT;
}
