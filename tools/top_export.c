/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * top_export.c - see top_export.h.
 */
#include "top_export.h"

#include "json_text.h"

#include <inttypes.h>

#define PREFIX     "nearheap_"
#define NAME_ROOM  16
#define CLASS_ROOM 24

/* "0", or "interleaved". */
static void write_node(const struct share_figures *figures, unsigned slot, char name[NAME_ROOM])
{
    int32_t number = figures->node[slot].number;
    if (number == SHARE_INTERLEAVED)
        snprintf(name, NAME_ROOM, TOP_INTERLEAVED);
    else
        snprintf(name, NAME_ROOM, "%" PRId32, number);
}

/* Whose memory a row of residence is; false when there is nothing of it. */
static bool write_row(const struct top_sample *sample, unsigned row, char name[NAME_ROOM])
{
    const struct share_figures *figures = &sample->process->now;
    if (!sample->residence->known || residence_all(sample->residence, row) == 0)
        return false;
    if (row == RESIDENCE_REST)
        snprintf(name, NAME_ROOM, "rest");
    else if (top_next_heap(figures, row) == row)
        write_node(figures, row, name);
    else
        return false;
    return true;
}

static void write_column(const struct share_figures *figures, unsigned column, char name[NAME_ROOM])
{
    if (column == RESIDENCE_OTHERS)
        snprintf(name, NAME_ROOM, "other");
    else
        write_node(figures, column, name);
}

/* A place where memory is: `home` and `node` name its row and column of the residence. */
struct residence_place {
    unsigned next; /* to be looked at */
    char home[NAME_ROOM], node[NAME_ROOM];
    uint64_t bytes;
};

/* The next place with memory; false at the end.  Begins with `next` 0. */
static bool next_place(const struct top_sample *sample, struct residence_place *it)
{
    while (it->next < RESIDENCE_ROWS * RESIDENCE_COLUMNS) {
        unsigned row = it->next / RESIDENCE_COLUMNS, column = it->next % RESIDENCE_COLUMNS;
        it->bytes = sample->residence->bytes[row][column];
        it->next++;
        if (it->bytes != 0 && write_row(sample, row, it->home)) {
            write_column(&sample->process->now, column, it->node);
            return true;
        }
    }
    return false;
}

static bool has_pair(const struct share_figures *figures, unsigned home, unsigned other)
{
    return figures->slots > 1 && figures->node[home].number != SHARE_NO_NODE &&
           figures->node[other].number != SHARE_NO_NODE;
}

/* ---- JSON ---- */

static void print_json_values(FILE *to, const struct top_counter *counters, unsigned count,
                              const uint64_t *values)
{
    for (unsigned i = 0; i < count; i++)
        fprintf(to, ", \"%s\": %" PRIu64, counters[i].name, values[i]);
    fputc('}', to);
}

static void print_json_share(FILE *to, const char *name, double share)
{
    if (share < 0)
        fprintf(to, ", \"%s\": null", name);
    else
        fprintf(to, ", \"%s\": %.6f", name, share);
}

static void print_json_nodes(FILE *to, const struct share_figures *figures)
{
    const char *comma = "";
    fputs("  \"nodes\": [", to);
    for (unsigned slot = top_next_heap(figures, 0); slot < NH_HEAPS;
         slot = top_next_heap(figures, slot + 1)) {
        const uint64_t *value = figures->node[slot].value;
        fprintf(to, "%s\n    {\"node\": %" PRId32, comma, figures->node[slot].number);
        print_json_share(
            to, "hit_rate",
            top_hit_rate(value[SHARE_NODE_refills], value[SHARE_NODE_refilled_objects]));
        print_json_share(
            to, "depot_rate",
            top_depot_rate(value[SHARE_NODE_refills], value[SHARE_NODE_depot_refills]));
        print_json_values(to, top_node_counters, SHARE_NODE_VALUES, value);
        comma = ",";
    }
    fputs("],\n", to);
}

static void print_json_classes(FILE *to, const struct share_figures *figures)
{
    fputs("  \"classes\": [", to);
    for (unsigned cls = 0; cls < NH_CLASSES; cls++) {
        fprintf(to, "%s\n    {\"object_bytes\": %" PRIu64, cls > 0 ? "," : "",
                figures->cls[cls].object_bytes);
        print_json_values(to, top_class_counters, SHARE_CLASS_VALUES, figures->cls[cls].value);
    }
    fputs("],\n", to);
}

static void print_json_pairs(FILE *to, const struct share_figures *figures)
{
    const char *comma = "";
    fputs("  \"pairs\": [", to);
    for (unsigned home = 0; home < figures->slots; home++)
        for (unsigned other = 0; other < figures->slots; other++) {
            if (!has_pair(figures, home, other))
                continue;
            fprintf(to, "%s\n    {\"home\": %" PRId32 ", \"other\": %" PRId32, comma,
                    figures->node[home].number, figures->node[other].number);
            print_json_values(to, top_pair_counters, SHARE_PAIR_VALUES,
                              figures->pair[home][other].value);
            comma = ",";
        }
    fputs("],\n", to);
}

static void print_json_residence(FILE *to, const struct top_sample *sample)
{
    const char *comma = "";
    if (!sample->residence->known) {
        fputs("  \"residence\": null", to);
        return;
    }
    fputs("  \"residence\": [", to);
    for (struct residence_place it = {.next = 0}; next_place(sample, &it);) {
        fprintf(to, "%s\n    {\"home\": \"%s\", \"node\": \"%s\", \"bytes\": %" PRIu64 "}", comma,
                it.home, it.node, it.bytes);
        comma = ",";
    }
    fputc(']', to);
}

void top_print_json(FILE *to, const struct top_sample *sample)
{
    const struct top_process *process = sample->process;
    fprintf(to, "{\n  \"pid\": %" PRId64 ", \"user\": %lu, \"command\": ", process->header.pid,
            (unsigned long)process->user);
    json_text(to, process->command);
    fputs(", \"version\": ", to);
    json_text(to, process->header.release);
    fprintf(to, ", \"generation\": %" PRIu64 ", \"age_seconds\": %.3f,\n",
            process->header.generation, top_age(process));
    print_json_nodes(to, &process->now);
    print_json_classes(to, &process->now);
    print_json_pairs(to, &process->now);
    print_json_residence(to, sample);
    fputs("\n}", to);
}

/* ---- Prometheus ---- */

/* Escaped as in JSON: what is printable needs no more. */
static void print_process_labels(FILE *to, const struct top_process *process)
{
    fprintf(to, "{pid=\"%" PRId64 "\",command=", process->header.pid);
    json_text(to, process->command);
}

static void print_heading(FILE *to, const char *group, const struct top_counter *counter)
{
    const char *total = top_is_total(counter) ? "_total" : "";
    fprintf(to, "# HELP " PREFIX "%s%s%s %s\n# TYPE " PREFIX "%s%s%s %s\n", group, counter->name,
            total, counter->meaning, group, counter->name, total,
            top_is_total(counter) ? "counter" : "gauge");
}

/* A line's beginning, up to the labels of its own. */
static void print_name(FILE *to, const char *group, const struct top_counter *counter,
                       const struct top_process *process)
{
    fprintf(to, PREFIX "%s%s%s", group, counter->name, top_is_total(counter) ? "_total" : "");
    print_process_labels(to, process);
}

static void print_node_metric(FILE *to, const struct top_process *process, unsigned i)
{
    const struct share_figures *figures = &process->now;
    for (unsigned slot = top_next_heap(figures, 0); slot < NH_HEAPS;
         slot = top_next_heap(figures, slot + 1)) {
        char node[NAME_ROOM];
        write_node(figures, slot, node);
        print_name(to, "", &top_node_counters[i], process);
        fprintf(to, ",node=\"%s\"} %" PRIu64 "\n", node, figures->node[slot].value[i]);
    }
}

/* Classes that were never used are left out. */
static void print_class_metric(FILE *to, const struct top_process *process, unsigned i)
{
    for (unsigned cls = 0; cls < NH_CLASSES; cls++) {
        const struct share_class *row = &process->now.cls[cls];
        char name[CLASS_ROOM] = "large";
        if (row->value[SHARE_CLASS_spans] == 0 && row->value[SHARE_CLASS_refills] == 0)
            continue;
        if (cls != 0)
            snprintf(name, sizeof name, "%" PRIu64, row->object_bytes);
        print_name(to, "class_", &top_class_counters[i], process);
        fprintf(to, ",class=\"%s\"} %" PRIu64 "\n", name, row->value[i]);
    }
}

static void print_pair_metric(FILE *to, const struct top_process *process, unsigned i)
{
    const struct share_figures *figures = &process->now;
    for (unsigned home = 0; home < figures->slots; home++)
        for (unsigned other = 0; other < figures->slots; other++) {
            if (!has_pair(figures, home, other))
                continue;
            print_name(to, "pair_", &top_pair_counters[i], process);
            fprintf(to, ",home=\"%" PRId32 "\",other=\"%" PRId32 "\"} %" PRIu64 "\n",
                    figures->node[home].number, figures->node[other].number,
                    figures->pair[home][other].value[i]);
        }
}

static void print_group(FILE *to, const struct top_sample *samples, size_t count, const char *group,
                        const struct top_counter *counters, unsigned length,
                        void (*print)(FILE *to, const struct top_process *process, unsigned i))
{
    for (unsigned i = 0; i < length; i++) {
        print_heading(to, group, &counters[i]);
        for (size_t j = 0; j < count; j++)
            print(to, samples[j].process, i);
    }
}

static void print_residence(FILE *to, const struct top_sample *sample)
{
    for (struct residence_place it = {.next = 0}; next_place(sample, &it);) {
        fputs(PREFIX "resident_bytes", to);
        print_process_labels(to, sample->process);
        fprintf(to, ",home=\"%s\",node=\"%s\"} %" PRIu64 "\n", it.home, it.node, it.bytes);
    }
}

static void print_elsewhere(FILE *to, const struct top_sample *sample)
{
    const struct share_figures *figures = &sample->process->now;
    for (unsigned slot = 0; slot < figures->slots; slot++) {
        char node[NAME_ROOM];
        if (!write_row(sample, slot, node))
            continue;
        fputs(PREFIX "elsewhere_bytes", to);
        print_process_labels(to, sample->process);
        fprintf(to, ",node=\"%s\"} %" PRIu64 "\n", node,
                residence_all(sample->residence, slot) - residence_here(sample->residence, slot));
    }
}

void top_print_prometheus(FILE *to, const struct top_sample *samples, size_t count)
{
    fputs("# HELP " PREFIX "info processes that share counters, and their nearheap\n"
          "# TYPE " PREFIX "info gauge\n",
          to);
    for (size_t i = 0; i < count; i++) {
        fputs(PREFIX "info", to);
        print_process_labels(to, samples[i].process);
        fputs(",version=", to);
        json_text(to, samples[i].process->header.release);
        fputs("} 1\n", to);
    }
    fputs("# HELP " PREFIX "age_seconds since the process wrote its counters\n"
          "# TYPE " PREFIX "age_seconds gauge\n",
          to);
    for (size_t i = 0; i < count; i++) {
        fputs(PREFIX "age_seconds", to);
        print_process_labels(to, samples[i].process);
        fprintf(to, "} %.3f\n", top_age(samples[i].process));
    }
    print_group(to, samples, count, "", top_node_counters, SHARE_NODE_VALUES, print_node_metric);
    print_group(to, samples, count, "class_", top_class_counters, SHARE_CLASS_VALUES,
                print_class_metric);
    print_group(to, samples, count, "pair_", top_pair_counters, SHARE_PAIR_VALUES,
                print_pair_metric);
    fputs("# HELP " PREFIX "resident_bytes memory of `home`, by policy, that is on `node`\n"
          "# TYPE " PREFIX "resident_bytes gauge\n",
          to);
    for (size_t i = 0; i < count; i++)
        print_residence(to, &samples[i]);
    fputs("# HELP " PREFIX "elsewhere_bytes memory placed on `node` that is on another\n"
          "# TYPE " PREFIX "elsewhere_bytes gauge\n",
          to);
    for (size_t i = 0; i < count; i++)
        print_elsewhere(to, &samples[i]);
}
