/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * keystream.c - see keystream.h.  A library's stream cipher would do; but none may be
 * called on the malloc path that might allocate, and glibc's arc4random is a system call
 * each time.
 */
#include "keystream.h"

#include <string.h>

#define ROUNDS 8

static uint32_t rotate(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static void quarter(uint32_t s[KEYSTREAM_BLOCK], unsigned a, unsigned b, unsigned c, unsigned d)
{
    s[a] += s[b];
    s[d] = rotate(s[d] ^ s[a], 16);
    s[c] += s[d];
    s[b] = rotate(s[b] ^ s[c], 12);
    s[a] += s[b];
    s[d] = rotate(s[d] ^ s[a], 8);
    s[c] += s[d];
    s[b] = rotate(s[b] ^ s[c], 7);
}

void keystream_block(uint32_t block[KEYSTREAM_BLOCK], unsigned rounds)
{
    uint32_t s[KEYSTREAM_BLOCK];
    memcpy(s, block, sizeof(s));
    for (unsigned i = 0; i < rounds; i += 2) {
        for (unsigned j = 0; j < 4; j++) /* columns */
            quarter(s, j, 4 + j, 8 + j, 12 + j);
        for (unsigned j = 0; j < 4; j++) /* diagonals */
            quarter(s, j, 4 + (j + 1) % 4, 8 + (j + 2) % 4, 12 + (j + 3) % 4);
    }
    for (unsigned i = 0; i < KEYSTREAM_BLOCK; i++)
        block[i] += s[i];
}

void keystream_init(struct keystream *stream, const uint32_t seed[KEYSTREAM_WORDS])
{
    memcpy(stream->key, seed, sizeof(stream->key));
    stream->left = 0;
}

/* Counter and nonce stay 0: no key is used twice. */
static void refill(struct keystream *stream)
{
    uint32_t block[KEYSTREAM_BLOCK] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    memcpy(&block[4], stream->key, sizeof(stream->key));
    keystream_block(block, ROUNDS);
    memcpy(stream->key, block, sizeof(stream->key));
    memcpy(stream->ready, &block[KEYSTREAM_WORDS], sizeof(stream->ready));
    stream->left = KEYSTREAM_WORDS;
}

uint32_t keystream_draw(struct keystream *stream)
{
    if (stream->left == 0)
        refill(stream);
    uint32_t *next = &stream->ready[KEYSTREAM_WORDS - stream->left--];
    uint32_t drawn = *next;
    *next = 0;
    return drawn;
}
