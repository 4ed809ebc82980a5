/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * top_export.h - all counters for other programs: JSON, and the text format of Prometheus.
 */
#ifndef TOP_EXPORT_H
#define TOP_EXPORT_H

#include "top_residence.h"
#include "top_values.h"

/* A process with where its memory is, which may be unknown. */
struct top_sample {
    struct top_process *process;
    struct residence *residence;
};

/* One object. */
void top_print_json(FILE *to, const struct top_sample *sample);

/* Every metric once, with the samples of all processes, as the format demands. */
void top_print_prometheus(FILE *to, const struct top_sample *samples, size_t count);

#endif
