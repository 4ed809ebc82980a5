/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * stats.h - counters of heaps and classes, as in the tables of nearheap.h and share_page.h,
 * and their printing.
 *
 * Takes each lock of a heap in turn; never allocates.
 */
#ifndef NH_STATS_H
#define NH_STATS_H

#include "heap.h"
#include "nearheap.h"
#include "share_page.h"

void stats_of_heap(struct heap *heap, struct nh_node_stats *out);
/* Sums over all heaps. */
void stats_of_process(struct nh_stats *out);

/* Of the heaps of two slots, which may not exist yet. */
void stats_of_pair(unsigned home, unsigned other, struct nh_pair_stats *out);

/* Of every size class, over all heaps; row 0 is of large objects. */
void stats_of_classes(struct share_class out[NH_CLASSES]);

enum stats_format { STATS_TEXT, STATS_JSON };
/* To a file descriptor; 0, or an error's number. */
int stats_print(int fd, enum stats_format format);
/* What the options ask for at exit. */
void stats_at_exit(void);

#endif
