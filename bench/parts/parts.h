/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * parts.h - what the benchmarks of the engine's parts share.
 */
#ifndef NH_BENCH_PARTS_H
#define NH_BENCH_PARTS_H

#include "../random.h"
#include "bench.h"

#include <stddef.h>
#include <stdint.h>

/* One a file, in the order of main.c. */
void parts_register_size_class(void);
void parts_register_cache(void);
void parts_register_central(void);
void parts_register_object_bits(void);
void parts_register_treap(void);
void parts_register_span_table(void);
void parts_register_lookup(void);
void parts_register_page_heap(void);

/* Skips a benchmark of what this system does not have: nothing is wrong with it.
 * Reasons that begin otherwise are failures (tests/bench/parts_test.py). */
#define PARTS_NOT_HERE "not here: "

/* The i-th of 0 to n - 1, n a power of two: each once while i counts to n - 1,
 * then again; neighbours in this order lie far apart, so that the processor
 * does not foresee the next.  (The odd number next to the golden section of
 * 2^32 that is prime.) */
#define PARTS_GOLDEN ((size_t)0x9e3779b1)
static inline size_t parts_scatter(size_t i, size_t n)
{
    return i * PARTS_GOLDEN & (n - 1);
}

#endif
