/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * keystream.h - random numbers that who sees some of them cannot foretell: ChaCha with
 * eight rounds (D. J. Bernstein, 2008), keyed by the system.
 *
 * Each block's first half becomes the key of the next, and a number is wiped when it has
 * been drawn: who reads the state later learns what comes, not what was (the same, "Fast-
 * key-erasure random-number generators", 2017).  Two copies of a state give the same
 * numbers: a forked child must begin anew.
 *
 * Pure: no lock, no allocation, no system call.
 */
#ifndef NH_KEYSTREAM_H
#define NH_KEYSTREAM_H

#include "base.h"

#define KEYSTREAM_WORDS 8

struct keystream {
    uint32_t key[KEYSTREAM_WORDS];
    uint32_t ready[KEYSTREAM_WORDS]; /* the last `left` are not drawn yet */
    unsigned left;
};

void keystream_init(struct keystream *stream, const uint32_t seed[KEYSTREAM_WORDS]);
uint32_t keystream_draw(struct keystream *stream);

/* A number below `n` from one of 32 bits; each comes up as often as any other but for one
 * part in 2^32 / n. */
NH_INLINE uint32_t keystream_below(uint32_t random, uint32_t n)
{
    return (uint32_t)((uint64_t)random * n >> 32);
}

/* A ChaCha block of `rounds` rounds from what stands in it. */
#define KEYSTREAM_BLOCK 16
void keystream_block(uint32_t block[KEYSTREAM_BLOCK], unsigned rounds);

#endif
