/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * top_text.c - see top_text.h.
 */
#include "top_text.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>

#define NAME_WIDTH ((int)sizeof TOP_INTERLEAVED - 1)
#define INDENT     6 /* of a matrix's lines */

static void put_bytes(FILE *to, uint64_t bytes)
{
    char text[TOP_NUMBER_ROOM];
    top_write_bytes(bytes, text);
    fprintf(to, " %8s", text);
}

static void put_rate(FILE *to, double rate, double seconds)
{
    char text[TOP_NUMBER_ROOM] = "-";
    if (seconds > 0)
        top_write_rate(rate, text);
    fprintf(to, " %9s", text);
}

static void put_share(FILE *to, double share)
{
    char text[TOP_NUMBER_ROOM];
    top_write_share(share, text);
    fprintf(to, " %7s", text);
}

/* Of refills now and before, and the objects in these: shares are of what was counted since then,
 * of all time where nothing was. */
static void put_hits(FILE *to, uint64_t refills, uint64_t refills_before, uint64_t objects,
                     uint64_t objects_before)
{
    if (refills == refills_before)
        put_share(to, top_hit_rate(refills, objects));
    else
        put_share(to, top_hit_rate(refills - refills_before, objects - objects_before));
}

static void put_node_hits(FILE *to, const uint64_t *now, const uint64_t *before)
{
    put_hits(to, now[SHARE_NODE_refills], before[SHARE_NODE_refills],
             now[SHARE_NODE_refilled_objects], before[SHARE_NODE_refilled_objects]);
}

static void put_node_name(FILE *to, int32_t number)
{
    if (number == SHARE_INTERLEAVED)
        fprintf(to, "%-*s", NAME_WIDTH, TOP_INTERLEAVED);
    else if (number == SHARE_NO_NODE)
        fprintf(to, "%-*s", NAME_WIDTH, "-");
    else
        fprintf(to, "%-*" PRId32, NAME_WIDTH, number);
}

void top_print_head(FILE *to, const struct top_process *process)
{
    fprintf(to, "%s (%" PRId64 "), nearheap %s, %" PRIu32 " node%s", process->command,
            process->header.pid, process->header.release, process->now.slots,
            process->now.slots > 1 ? "s" : "");
    bool ended = top_has_ended(process);
    uint64_t resident = ended ? 0 : residence_of_process((long)process->header.pid);
    if (resident != 0) {
        char text[TOP_NUMBER_ROOM];
        top_write_bytes(resident, text);
        fprintf(to, ", VmRSS %s", text);
    }
    if (ended)
        fputs("; it has ended", to);
    else if (top_is_late(process))
        fprintf(to, "; figures are %.0f s old: it is stopped or starved, or runs another program",
                top_age(process));
    fputs("\n\n", to);
}

/* ---- Nodes ---- */

/* What was counted since `before`. */
static void put_rates(FILE *to, const uint64_t *now, const uint64_t *before, double seconds)
{
    uint64_t refills = now[SHARE_NODE_refills] - before[SHARE_NODE_refills];
    uint64_t depot = now[SHARE_NODE_depot_refills] - before[SHARE_NODE_depot_refills];
    if (refills == 0) {
        refills = now[SHARE_NODE_refills];
        depot = now[SHARE_NODE_depot_refills];
    }
    put_node_hits(to, now, before);
    put_share(to, top_depot_rate(refills, depot));
    put_rate(to, top_rate(before[SHARE_NODE_remote_frees], now[SHARE_NODE_remote_frees], seconds),
             seconds);
}

/* A heap's counters, and those of before, if there were any. */
static void print_node(FILE *to, const uint64_t *now, const uint64_t *before, double seconds)
{
    static const uint64_t none[SHARE_NODE_VALUES];
    put_bytes(to, now[SHARE_NODE_in_use_bytes]);
    put_bytes(to, now[SHARE_NODE_live_bytes]);
    put_bytes(to, now[SHARE_NODE_cached_bytes]);
    put_bytes(to, now[SHARE_NODE_free_bytes] - now[SHARE_NODE_released_bytes]);
    put_bytes(to, now[SHARE_NODE_released_bytes]);
    put_bytes(to, now[SHARE_NODE_borrowed_bytes]);
    put_bytes(to, now[SHARE_NODE_lent_bytes]);
    put_rates(to, now, before != NULL ? before : none, before != NULL ? seconds : 0);
}

static void put_residence(FILE *to, const struct residence *residence, uint64_t here, uint64_t all)
{
    if (residence == NULL || !residence->known || all == 0) {
        fprintf(to, " %8s %9s", "-", "-");
        return;
    }
    put_bytes(to, all);
    char text[TOP_NUMBER_ROOM];
    top_write_share((double)(all - here) / (double)all, text);
    fprintf(to, " %9s", text);
}

void top_print_nodes(FILE *to, const struct top_process *process, const struct residence *residence)
{
    const struct share_figures *now = &process->now, *before = &process->before;
    double seconds = top_seconds(process);
    bool compare = process->has_before;
    uint64_t all = 0, here = 0, sums[SHARE_NODE_VALUES], sums_before[SHARE_NODE_VALUES];
    fprintf(to, "%-*s %8s %8s %8s %8s %8s %8s %8s %7s %7s %9s %8s %9s\n", NAME_WIDTH, "node",
            "in use", "live", "cached", "free", "released", "borrowed", "lent", "hits", "depot",
            "remote/s", "resident", "elsewhere");
    for (unsigned slot = top_next_heap(now, 0); slot < NH_HEAPS;
         slot = top_next_heap(now, slot + 1)) {
        bool interleaved = slot == NH_HEAP_INTERLEAVED;
        uint64_t row = residence != NULL && residence->known ? residence_all(residence, slot) : 0;
        /* Interleaved memory is at home on any node. */
        uint64_t home = row == 0 ? 0 : interleaved ? row : residence_here(residence, slot);
        put_node_name(to, now->node[slot].number);
        print_node(to, now->node[slot].value, compare ? before->node[slot].value : NULL, seconds);
        put_residence(to, residence, home, row);
        fputc('\n', to);
        all += row;
        here += home;
    }
    top_sum_nodes(now, sums);
    top_sum_nodes(before, sums_before);
    fprintf(to, "%-*s", NAME_WIDTH, "all");
    print_node(to, sums, compare ? sums_before : NULL, seconds);
    put_residence(to, residence, here, all);
    fputs("\n\n", to);
}

/* ---- Matrices ---- */

/* The heading of a matrix: `corner`, then the nodes. */
static void print_columns(FILE *to, const char *corner, const struct share_figures *figures)
{
    fprintf(to, "%-*s", INDENT + NAME_WIDTH, corner);
    for (unsigned slot = 0; slot < figures->slots; slot++) {
        char name[TOP_NUMBER_ROOM] = "-";
        if (figures->node[slot].number != SHARE_NO_NODE)
            snprintf(name, sizeof name, "%" PRId32, figures->node[slot].number);
        fprintf(to, " %10s", name);
    }
}

void top_print_matrix(FILE *to, const struct top_process *process, bool per_second)
{
    const struct share_figures *now = &process->now;
    double seconds = top_seconds(process);
    if (now->slots == 1)
        return;
    print_columns(to, per_second ? "freed/s by" : "freed by", now);
    fputs("\nmemory of\n", to);
    for (unsigned home = 0; home < now->slots; home++) {
        fprintf(to, "%-*s", INDENT, "");
        put_node_name(to, now->node[home].number);
        for (unsigned other = 0; other < now->slots; other++) {
            uint64_t frees = now->pair[home][other].value[SHARE_PAIR_frees];
            if (per_second) {
                char text[TOP_NUMBER_ROOM];
                uint64_t earlier = process->before.pair[home][other].value[SHARE_PAIR_frees];
                top_write_rate(top_rate(earlier, frees, seconds), text);
                fprintf(to, " %10s", text);
            } else {
                fprintf(to, " %10" PRIu64, frees);
            }
        }
        fputc('\n', to);
    }
    fputc('\n', to);
}

void top_print_residence(FILE *to, const struct top_process *process,
                         const struct residence *residence)
{
    const struct share_figures *now = &process->now;
    if (!residence->known || now->slots == 1)
        return;
    print_columns(to, "resident on", now);
    fprintf(to, " %10s\nmemory of\n", "others");
    for (unsigned row = 0; row < RESIDENCE_ROWS; row++) {
        if ((row >= now->slots && row < NH_HEAP_INTERLEAVED) || residence_all(residence, row) == 0)
            continue;
        fprintf(to, "%-*s", INDENT, "");
        if (row == RESIDENCE_REST)
            fprintf(to, "%-*s", NAME_WIDTH, "rest");
        else
            put_node_name(to, now->node[row].number);
        for (unsigned column = 0; column < RESIDENCE_COLUMNS; column++) {
            char text[TOP_NUMBER_ROOM];
            if (column >= now->slots && column != RESIDENCE_OTHERS)
                continue;
            top_write_bytes(residence->bytes[row][column], text);
            fprintf(to, " %10s", text);
        }
        fputc('\n', to);
    }
    fputc('\n', to);
}

/* ---- Size classes ---- */

static const unsigned order_values[TOP_ORDERS] = {
    [TOP_BY_BYTES] = SHARE_CLASS_live_bytes,
    [TOP_BY_OBJECTS] = SHARE_CLASS_live_objects,
    [TOP_BY_CACHED] = SHARE_CLASS_cached_objects,
    [TOP_BY_REFILLS] = SHARE_CLASS_refills,
};
static const char *const order_names[TOP_ORDERS] = {
    [TOP_BY_BYTES] = "live bytes",
    [TOP_BY_OBJECTS] = "live objects",
    [TOP_BY_CACHED] = "cached objects",
    [TOP_BY_REFILLS] = "refills",
};

/* What is sorted by, of each class, beside its number. */
struct place {
    uint64_t value;
    unsigned cls;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *left = a, *right = b;
    if (left->value != right->value)
        return left->value < right->value ? 1 : -1;
    return (left->cls > right->cls) - (left->cls < right->cls);
}

static bool is_used(const struct share_class *row)
{
    return row->value[SHARE_CLASS_spans] != 0 || row->value[SHARE_CLASS_refills] != 0;
}

void top_print_classes(FILE *to, const struct top_process *process, enum top_order order,
                       unsigned most)
{
    struct place places[NH_CLASSES];
    double seconds = top_seconds(process);
    for (unsigned cls = 0; cls < NH_CLASSES; cls++)
        places[cls] =
            (struct place){.value = process->now.cls[cls].value[order_values[order]], .cls = cls};
    qsort(places, NH_CLASSES, sizeof places[0], compare_places);
    fprintf(to, "size classes by %s\n%8s %14s %8s %12s %8s %9s %9s %7s\n", order_names[order],
            "bytes", "live objects", "live", "cached", "in spans", "spans", "refills/s", "hits");
    for (unsigned i = 0, shown = 0; i < NH_CLASSES && shown < most; i++) {
        const struct share_class *row = &process->now.cls[places[i].cls];
        const uint64_t *value = row->value, *before = process->before.cls[places[i].cls].value;
        if (!is_used(row))
            continue;
        shown++;
        if (places[i].cls == 0)
            fprintf(to, "%8s", "large");
        else
            fprintf(to, "%8" PRIu64, row->object_bytes);
        fprintf(to, " %14" PRIu64, value[SHARE_CLASS_live_objects]);
        put_bytes(to, value[SHARE_CLASS_live_bytes]);
        fprintf(to, " %12" PRIu64, value[SHARE_CLASS_cached_objects]);
        put_bytes(to, value[SHARE_CLASS_span_bytes]);
        fprintf(to, " %9" PRIu64, value[SHARE_CLASS_spans]);
        put_rate(to, top_rate(before[SHARE_CLASS_refills], value[SHARE_CLASS_refills], seconds),
                 seconds);
        put_hits(to, value[SHARE_CLASS_refills], before[SHARE_CLASS_refills],
                 value[SHARE_CLASS_refilled_objects], before[SHARE_CLASS_refilled_objects]);
        fputc('\n', to);
    }
    fputc('\n', to);
}

/* ---- Processes ---- */

void top_print_list_head(FILE *to)
{
    fprintf(to, "%7s %-15s %-16s %5s %8s %8s %8s %8s %8s %7s %9s\n", "PID", "user", "command",
            "nodes", "in use", "live", "cached", "free", "released", "hits", "remote/s");
}

void top_print_list_line(FILE *to, const struct top_process *process)
{
    uint64_t now[SHARE_NODE_VALUES], before[SHARE_NODE_VALUES];
    double seconds = top_seconds(process);
    const struct passwd *user = getpwuid(process->user);
    char number[TOP_NUMBER_ROOM];
    snprintf(number, sizeof number, "%lu", (unsigned long)process->user);
    top_sum_nodes(&process->now, now);
    top_sum_nodes(&process->before, before);
    fprintf(to, "%7" PRId64 " %-15.15s %-16.16s %5" PRIu32, process->header.pid,
            user != NULL ? user->pw_name : number, process->command, process->now.slots);
    put_bytes(to, now[SHARE_NODE_in_use_bytes]);
    put_bytes(to, now[SHARE_NODE_live_bytes]);
    put_bytes(to, now[SHARE_NODE_cached_bytes]);
    put_bytes(to, now[SHARE_NODE_free_bytes] - now[SHARE_NODE_released_bytes]);
    put_bytes(to, now[SHARE_NODE_released_bytes]);
    put_node_hits(to, now, before);
    put_rate(to, top_rate(before[SHARE_NODE_remote_frees], now[SHARE_NODE_remote_frees], seconds),
             seconds);
    if (top_is_late(process))
        fprintf(to, "  %.0f s old", top_age(process));
    fputc('\n', to);
}
