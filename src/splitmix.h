/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * splitmix.h - random numbers that nobody needs to be unable to guess: priorities, chance.
 * SplitMix64, by G. Steele, D. Lea and C. Flood, "Fast splittable pseudorandom number
 * generators", OOPSLA 2014.
 */
#ifndef NH_SPLITMIX_H
#define NH_SPLITMIX_H

#include "base.h"

/* Any state will do, and each is the beginning of a stream. */
NH_INLINE uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

#endif
