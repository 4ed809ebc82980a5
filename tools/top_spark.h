/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * top_spark.h - what a value was lately, as a line of small bars.  Pure.
 */
#ifndef TOP_SPARK_H
#define TOP_SPARK_H

#include <stdbool.h>
#include <stddef.h>

#define SPARK_POINTS  60
#define SPARK_SECONDS 1 /* from one to the next, or more: the last minute, if not */
/* A bar is one character of up to three bytes. */
#define SPARK_ROOM (3 * SPARK_POINTS + 1)

struct spark {
    double point[SPARK_POINTS]; /* a ring */
    size_t next, count;
};

void spark_add(struct spark *spark, double value);
/* The newest at the right; bars are parts of the largest.  With `blocks` in UTF-8, else in
 * ASCII. */
void spark_write(const struct spark *spark, bool blocks, char text[SPARK_ROOM]);

#endif
