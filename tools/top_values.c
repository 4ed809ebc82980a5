/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * top_values.c - see top_values.h.
 */
#include "top_values.h"

#include <stdio.h>
#include <string.h>

#define ROW(name, unit, meaning) {#name, unit, meaning},
const struct top_counter top_node_counters[SHARE_NODE_VALUES] = {NH_NODE_STATS(ROW)};
const struct top_counter top_class_counters[SHARE_CLASS_VALUES] = {SHARE_CLASS_STATS(ROW)};
const struct top_counter top_pair_counters[SHARE_PAIR_VALUES] = {NH_PAIR_STATS(ROW)};
#undef ROW

bool top_is_total(const struct top_counter *counter)
{
    return strcmp(counter->unit, "events") == 0;
}

unsigned top_next_heap(const struct share_figures *figures, unsigned slot)
{
    for (; slot < NH_HEAPS; slot++)
        if ((slot < figures->slots || slot == NH_HEAP_INTERLEAVED) &&
            figures->node[slot].number != SHARE_NO_NODE)
            break;
    return slot;
}

void top_sum_nodes(const struct share_figures *figures, uint64_t sums[SHARE_NODE_VALUES])
{
    memset(sums, 0, SHARE_NODE_VALUES * sizeof sums[0]);
    for (unsigned slot = top_next_heap(figures, 0); slot < NH_HEAPS;
         slot = top_next_heap(figures, slot + 1))
        for (unsigned i = 0; i < SHARE_NODE_VALUES; i++)
            sums[i] += figures->node[slot].value[i];
}

double top_rate(uint64_t before, uint64_t now, double seconds)
{
    return seconds > 0 && now > before ? (double)(now - before) / seconds : 0;
}

double top_hit_rate(uint64_t refills, uint64_t refilled_objects)
{
    if (refilled_objects == 0 || refills > refilled_objects)
        return -1;
    return 1 - (double)refills / (double)refilled_objects;
}

double top_depot_rate(uint64_t refills, uint64_t depot_refills)
{
    return refills == 0 || depot_refills > refills ? -1 : (double)depot_refills / (double)refills;
}

/* Divides by `base` until it is less, and tells the unit's place. */
static unsigned scale(double *value, double base, unsigned units)
{
    unsigned unit = 0;
    /* What would be written as the base is one of the next unit. */
    for (; *value >= base - 0.05 && unit < units - 1; unit++)
        *value /= base;
    return unit;
}

void top_write_bytes(uint64_t bytes, char text[TOP_NUMBER_ROOM])
{
    static const char *const units[] = {"", "K", "M", "G", "T", "P", "E"};
    double value = (double)bytes;
    unsigned unit = scale(&value, 1024, sizeof units / sizeof units[0]);
    snprintf(text, TOP_NUMBER_ROOM, unit == 0 ? "%.0f%s" : "%.1f%s", value, units[unit]);
}

void top_write_rate(double rate, char text[TOP_NUMBER_ROOM])
{
    static const char *const units[] = {"", "k", "M", "G", "T"};
    unsigned unit = scale(&rate, 1000, sizeof units / sizeof units[0]);
    if (unit == 0)
        snprintf(text, TOP_NUMBER_ROOM, "%.0f", rate);
    else
        snprintf(text, TOP_NUMBER_ROOM, "%.1f%s", rate, units[unit]);
}

void top_write_share(double share, char text[TOP_NUMBER_ROOM])
{
    if (share < 0)
        snprintf(text, TOP_NUMBER_ROOM, "-");
    else
        snprintf(text, TOP_NUMBER_ROOM, "%.1f %%", share * 100);
}
