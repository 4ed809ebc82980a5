/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * top_values.h - the counters of a page by name, what follows from them, and how numbers
 * are written.  Pure.
 */
#ifndef TOP_VALUES_H
#define TOP_VALUES_H

#include "top_page.h"

/* What memory that is spread over nodes is called, where nodes have numbers. */
#define TOP_INTERLEAVED "interleaved"

/* A line of a table of counters. */
struct top_counter {
    const char *name, *unit, *meaning;
};

extern const struct top_counter top_node_counters[SHARE_NODE_VALUES];
extern const struct top_counter top_class_counters[SHARE_CLASS_VALUES];
extern const struct top_counter top_pair_counters[SHARE_PAIR_VALUES];

/* Whether it was counted since the process began, and never falls. */
bool top_is_total(const struct top_counter *counter);

/* Rows of heaps that a process has: the next of `slot` or after, NH_HEAPS if there is none. */
unsigned top_next_heap(const struct share_figures *figures, unsigned slot);

/* The sums over all heaps. */
void top_sum_nodes(const struct share_figures *figures, uint64_t sums[SHARE_NODE_VALUES]);

/* What was counted between two sets of figures, per second; 0 without time. */
double top_rate(uint64_t before, uint64_t now, double seconds);

/* Of allocations from caches, the share, 0 to 1, that took their fast path, at least: what
 * was freed into a cache and allocated from it again was no refill, and is not counted.
 * And of refills, the share for which a full magazine was there.  Negative: there were
 * none. */
double top_hit_rate(uint64_t refills, uint64_t refilled_objects);
double top_depot_rate(uint64_t refills, uint64_t depot_refills);

#define TOP_NUMBER_ROOM 24

/* "132.4M" for MiB; "12.3k" of a rate; "99.8 %", "-" for a negative share. */
void top_write_bytes(uint64_t bytes, char text[TOP_NUMBER_ROOM]);
void top_write_rate(double rate, char text[TOP_NUMBER_ROOM]);
void top_write_share(double share, char text[TOP_NUMBER_ROOM]);

#endif
