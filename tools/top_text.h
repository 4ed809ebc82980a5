/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * top_text.h - figures as tables of text: for --once, and line by line for the screen.  A
 * table is a heading and lines, and ends with an empty one.
 */
#ifndef TOP_TEXT_H
#define TOP_TEXT_H

#include "top_residence.h"
#include "top_values.h"

/* By what classes are sorted: live bytes, live objects, cached objects, refills. */
enum top_order { TOP_BY_BYTES, TOP_BY_OBJECTS, TOP_BY_CACHED, TOP_BY_REFILLS, TOP_ORDERS };

/* A line or two on the process. */
void top_print_head(FILE *to, const struct top_process *process);
void top_print_nodes(FILE *to, const struct top_process *process,
                     const struct residence *residence);
/* Who frees whose memory, in all or per second; nothing of a process with one node. */
void top_print_matrix(FILE *to, const struct top_process *process, bool per_second);
/* Whose memory is where; nothing if it is not known. */
void top_print_residence(FILE *to, const struct top_process *process,
                         const struct residence *residence);
/* The first `most` classes that are in use. */
void top_print_classes(FILE *to, const struct top_process *process, enum top_order order,
                       unsigned most);

/* Processes, a line each below a heading. */
void top_print_list_head(FILE *to);
void top_print_list_line(FILE *to, const struct top_process *process);

#endif
