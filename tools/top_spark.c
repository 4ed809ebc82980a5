/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * top_spark.c - see top_spark.h.
 */
#include "top_spark.h"

#include <string.h>

#define LEVELS 9

static const char *const block_bars[LEVELS] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const ascii_bars[LEVELS] = {" ", "_", ".", ":", "-", "=", "+", "*", "#"};

void spark_add(struct spark *spark, double value)
{
    spark->point[spark->next] = value;
    spark->next = (spark->next + 1) % SPARK_POINTS;
    if (spark->count < SPARK_POINTS)
        spark->count++;
}

void spark_write(const struct spark *spark, bool blocks, char text[SPARK_ROOM])
{
    double most = 0;
    for (size_t i = 0; i < spark->count; i++)
        if (spark->point[i] > most)
            most = spark->point[i];
    char *end = text;
    for (size_t i = 0; i < SPARK_POINTS; i++) {
        double value = spark->point[(spark->next + i) % SPARK_POINTS];
        /* Anything at all is a bar. */
        unsigned level = value > 0 ? 1 + (unsigned)(value / most * (LEVELS - 2) + 0.5) : 0;
        const char *bar =
            i < SPARK_POINTS - spark->count ? " " : (blocks ? block_bars : ascii_bars)[level];
        end = stpcpy(end, bar);
    }
}
