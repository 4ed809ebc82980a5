/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * check_word.h - the word at the end of an object of a hardened process (harden.h).
 *
 * It says how many bytes lie unused between what was asked for and the word itself, in
 * its low 16 bits, and authenticates that together with the object's address under a
 * secret of the process: SipHash (J.-P. Aumasson and D. J. Bernstein, 2012) with one and
 * three rounds, as hash tables use it.  So a word cannot be made without the secret, nor
 * copied from another object; who can read an object's own word can write it back.
 *
 * Pure.
 */
#ifndef NH_CHECK_WORD_H
#define NH_CHECK_WORD_H

#include "base.h"

#include <stdatomic.h>

#define CHECK_WORD_BYTES sizeof(uint64_t)

struct check_secret {
    uint64_t key[2];
    /* What unused bytes are filled with; not 0, for that is what runs over most often. */
    uint8_t fill;
};

/* In the place of unused bytes: the object is free.  No object has so many. */
#define CHECK_WORD_FREE 0xffffU

NH_INLINE void check_word_round(uint64_t v[4])
{
#define ROTATE(x, n) ((x) << (n) | (x) >> (64 - (n)))
    v[0] += v[1];
    v[2] += v[3];
    v[1] = ROTATE(v[1], 13) ^ v[0];
    v[3] = ROTATE(v[3], 16) ^ v[2];
    v[0] = ROTATE(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = ROTATE(v[1], 17) ^ v[2];
    v[3] = ROTATE(v[3], 21) ^ v[0];
    v[2] = ROTATE(v[2], 32);
#undef ROTATE
}

/* SipHash-1-3 of two words, whose bytes are hashed in the order in which they lie in
 * memory on the processors that we run on. */
NH_INLINE uint64_t check_word_hash(const uint64_t key[2], uint64_t first, uint64_t second)
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                     key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
    const uint64_t message[3] = {first, second, (uint64_t)(2 * sizeof(uint64_t)) << 56};
    for (unsigned i = 0; i < 3; i++) {
        v[3] ^= message[i];
        check_word_round(v);
        v[0] ^= message[i];
    }
    v[2] ^= 0xff;
    for (unsigned i = 0; i < 3; i++)
        check_word_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The number is masked so that the first byte of the word of an object without unused
 * bytes is not 0 either. */
NH_INLINE uint64_t check_word_mask(const struct check_secret *secret)
{
    return (uint64_t)secret->fill << 8 | secret->fill;
}

NH_INLINE uint64_t check_word_make(const struct check_secret *secret, uintptr_t object,
                                   unsigned unused)
{
    return (check_word_hash(secret->key, object, unused) & ~(uint64_t)UINT16_MAX) |
           (unused ^ check_word_mask(secret));
}

/* The number that the word says; it is true if check_word_make gives the same word for it. */
NH_INLINE unsigned check_word_unused(const struct check_secret *secret, uint64_t word)
{
    return (unsigned)((word ^ check_word_mask(secret)) & UINT16_MAX);
}

#endif
