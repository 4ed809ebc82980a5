/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * random.h - the random numbers of benchmarks, loads and tests: xorshift (Marsaglia 2003), the
 * same ones from the same state.  A state is never 0 and one thread's.
 */
#ifndef NH_BENCH_RANDOM_H
#define NH_BENCH_RANDOM_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

/* `n` is not 0. */
static inline size_t random_below(uint64_t *state, size_t n)
{
    return (size_t)(random_next(state) % n);
}

static inline uint32_t random_next32(uint32_t *state)
{
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

#endif
