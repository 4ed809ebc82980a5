/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * stats_print.c - the counters as text and as JSON.
 */
#include "cache.h"
#include "log.h"
#include "numa/topology.h"
#include "options.h"
#include "report_file.h"
#include "stats.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* A node's part of either form fits. */
#define PRINT_BUFFER 4096

static void add_value(struct text *text, uint64_t value, bool bytes)
{
    static const char *const units[] = {"", " KiB", " MiB", " GiB", " TiB"};
    unsigned unit = 0;
    if (bytes)
        for (uint64_t rest = value; rest >= 10240 && unit < 4; rest >>= 10)
            unit++;
    text_add(text, "%14" PRIu64 "%s", value >> (10 * unit), units[unit]);
}

static void print_text(struct text *text, const struct nh_node_stats *node)
{
    if (node->node < 0)
        text_add(text, "nearheap: interleaved over nodes\n");
    else
        text_add(text, "nearheap: node %d\n", node->node);
#define LINE(name, unit, meaning)                                                                  \
    text_add(text, "  %-15s", #name);                                                              \
    add_value(text, node->name, strcmp(unit, "bytes") == 0);                                       \
    text_add(text, "\n");
    NH_NODE_STATS(LINE)
#undef LINE
}

static void print_json(struct text *text, const struct nh_node_stats *node)
{
    text_add(text, "    {\"node\": %d", node->node);
#define MEMBER(name, unit, meaning) text_add(text, ", \"%s\": %" PRIu64, #name, node->name);
    NH_NODE_STATS(MEMBER)
#undef MEMBER
    text_add(text, "}");
}

/* Writes it unless something before was refused, and empties it. */
static void flush(int fd, struct text *text, int *error)
{
    if (*error == 0)
        *error = log_write_all(fd, text->at, text->used);
    text->used = 0;
}

/* Pairs of nodes that have anything to say, a line each. */
static void print_pairs(int fd, struct text *text, bool json, int *error)
{
    unsigned slots = topology_now()->slots;
    bool first = true;
    cache_collect_outboxes();
    for (unsigned i = 0; slots > 1 && i < slots * slots; i++) {
        struct nh_pair_stats pair;
        stats_of_pair(i / slots, i % slots, &pair);
        uint64_t sum = 0;
#define ADD(name, unit, meaning) sum += pair.name;
        NH_PAIR_STATS(ADD)
#undef ADD
        if (sum == 0)
            continue;
        if (json)
            text_add(text, "%s\n    {\"home\": %d, \"other\": %d", first ? "" : ",", pair.home,
                     pair.other);
        else
            text_add(text, "nearheap: home %d, other %d:", pair.home, pair.other);
#define MEMBER(name, unit, meaning)                                                                \
    text_add(text, json ? ", \"%s\": %" PRIu64 : "  %s %" PRIu64, #name, pair.name);
        NH_PAIR_STATS(MEMBER)
#undef MEMBER
        text_add(text, json ? "}" : "\n");
        first = false;
        flush(fd, text, error);
    }
}

int stats_print(int fd, enum stats_format format)
{
    char buffer[PRINT_BUFFER];
    struct text text = {.at = buffer, .room = sizeof(buffer)};
    bool json = format == STATS_JSON;
    int error = 0;
    if (json)
        text_add(&text, "{\n  \"version\": \"%s\",\n  \"pid\": %ld,\n  \"nodes\": [\n",
                 nh_version(), (long)getpid());
    bool first = true;
    for (struct heap *heap = NULL; (heap = heap_after(heap)) != NULL;) {
        struct nh_node_stats node;
        stats_of_heap(heap, &node);
        if (json && !first)
            text_add(&text, ",\n");
        (json ? print_json : print_text)(&text, &node);
        first = false;
        flush(fd, &text, &error);
    }
    if (json)
        text_add(&text, "\n  ],\n  \"pairs\": [");
    print_pairs(fd, &text, json, &error);
    if (json)
        text_add(&text, "\n  ]\n}\n");
    flush(fd, &text, &error);
    return error;
}

void stats_at_exit(void)
{
    const char *where = options_text(OPT_STATS);
    if (!report_file_wanted(where))
        return;
    const char *variable = options_row(OPT_STATS)->variable;
    int fd = report_file_open(where, variable);
    if (fd < 0)
        return;
    int error = stats_print(fd, (enum stats_format)options_get(OPT_STATS_FORMAT));
    report_file_close(fd, where, variable, error);
}
