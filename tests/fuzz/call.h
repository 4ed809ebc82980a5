/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * call.h - a call of an input: four bytes, and the numbers that they stand for.
 */
#ifndef NH_TEST_CALL_H
#define NH_TEST_CALL_H

#include "nearheap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALL_BYTES     4
#define CALLS_MOST     400 /* of an input */
#define CALL_SIZE_MOST ((size_t)3 << 20)

struct call {
    uint8_t what, which, high, low;
};
_Static_assert(sizeof(struct call) == CALL_BYTES, "a call is its bytes");

/* Four scales, and as fine as the scale: most are small. */
static inline size_t call_size(const struct call *call)
{
    size_t number = (size_t)(call->high & 0x3f) << 8 | call->low;
    size_t size = number & 0x3ff;
    switch (call->high >> 6) {
    case 1:
        size = number;
        break;
    case 2:
        size = number * 16;
        break;
    case 3:
        size = number * 256;
        break;
    default:
        break;
    }
    return size < CALL_SIZE_MOST ? size : CALL_SIZE_MOST;
}

/* Numbers of nodes, and a few that are none. */
static inline int call_node(const struct call *call)
{
    return (int)(call->which >> 4) - 1;
}

static inline bool call_is_node(int node)
{
    return node >= 0 && node < nh_node_count();
}

#endif
