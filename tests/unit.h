/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit.h - cmocka with the headers it needs, and a repeatable random stream.
 */
#ifndef NH_TEST_UNIT_H
#define NH_TEST_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* xorshift64 (Marsaglia 2003); *state is not 0. */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static inline size_t random_below(uint64_t *state, size_t n)
{
    return (size_t)(random_next(state) % n);
}

#endif
