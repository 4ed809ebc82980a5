/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * size_class.c - from a size to its class.
 */
#include "parts.h"

#include "size_class.h"

#define SIZES 1024

/* By size: sizes from above half of it to it, which the processor cannot tell
 * apart beforehand, but whose branch it can. */
static void size_class(struct bench_state *state)
{
    static uint32_t size[SIZES];
    size_t most = (size_t)bench_range(state, 0);
    for (size_t i = 0; i < SIZES; i++)
        size[i] = (uint32_t)(most - parts_scatter(i, most / 2));
    while (bench_keep_running_batch(state, SIZES))
        for (size_t i = 0; i < SIZES; i++)
            bench_use_number(size_class_of(size[i]));
    for (size_t i = 0; i < SIZES; i++) {
        unsigned cls = size_class_of(size[i]);
        if (size_class_bytes(cls) < size[i] || (cls > 1 && size_class_bytes(cls - 1) >= size[i]))
            bench_skip(state, "not the smallest class that holds the size");
    }
    bench_complexity_n(state, (int64_t)most);
}

void parts_register_size_class(void)
{
    struct bench *b = bench_register("size_class", size_class);
    bench_arg_range(b, NH_GRAIN, NH_CLASS_MAX, 8);
    bench_complexity(b, BENCH_FLAT);
}
