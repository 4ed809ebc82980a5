/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * object_bits.h - which objects of a span are free: one bit each, out of band,
 * so that the memory of free objects is neither read nor written.
 *
 * Pure: no locks, no allocation.  `cursor` is the word where the next search
 * begins (the seed's freeindex and allocCache in one: bits are taken from that
 * word with count-trailing-zeros until it is empty); no word below it has a
 * free bit.
 */
#ifndef NH_OBJECT_BITS_H
#define NH_OBJECT_BITS_H

#include "base.h"
#include "limits.h"

#define OBJECT_BITS_WORDS (NH_SPAN_OBJECTS_MAX / 64)

struct object_bits {
    uint64_t free[OBJECT_BITS_WORDS];
};

/* Objects 0 to count - 1 are free, the rest do not exist. */
static inline void object_bits_fill(struct object_bits *bits, unsigned count)
{
    for (unsigned i = 0; i < OBJECT_BITS_WORDS; i++) {
        unsigned below = i * 64;
        if (count >= below + 64)
            bits->free[i] = ~(uint64_t)0;
        else
            bits->free[i] = count > below ? ((uint64_t)1 << (count - below)) - 1 : 0;
    }
}

static inline bool object_bits_is_free(const struct object_bits *bits, unsigned index)
{
    return (bits->free[index / 64] >> index % 64 & 1) != 0;
}

/* Marks a live object free; false, and nothing done, if it was free. */
static inline bool object_bits_put(struct object_bits *bits, uint8_t *cursor, unsigned index)
{
    uint64_t bit = (uint64_t)1 << index % 64;
    uint64_t word = bits->free[index / 64];
    if (nh_unlikely((word & bit) != 0))
        return false;
    bits->free[index / 64] = word | bit;
    if (index / 64 < *cursor)
        *cursor = (uint8_t)(index / 64);
    return true;
}

/* Takes up to `want` free objects, lowest first, and stores their addresses from
 * `into` on.  Returns how many. */
static inline unsigned object_bits_take(struct object_bits *bits, uint8_t *cursor, unsigned want,
                                        uintptr_t base, size_t bytes, void **into)
{
    unsigned taken = 0;
    unsigned i = *cursor;
    while (taken < want && i < OBJECT_BITS_WORDS) {
        uint64_t word = bits->free[i];
        uintptr_t at = base + (size_t)i * 64 * bytes;
        while (word != 0 && taken < want) {
            *into++ = (void *)(at + (size_t)__builtin_ctzll(word) * bytes);
            word &= word - 1;
            taken++;
        }
        bits->free[i] = word;
        if (word == 0)
            i++;
    }
    *cursor = (uint8_t)i;
    return taken;
}

/* Takes the free object before which there are `before` others; its index. */
static inline unsigned object_bits_take_nth(struct object_bits *bits, unsigned before)
{
    unsigned i = 0, here;
    while (before >= (here = (unsigned)__builtin_popcountll(bits->free[i]))) {
        before -= here;
        i++;
    }
    uint64_t word = bits->free[i];
    for (; before != 0; before--)
        word &= word - 1;
    bits->free[i] &= ~(word & -word);
    return i * 64 + (unsigned)__builtin_ctzll(word);
}

/* As object_bits_take, but only all objects of cache lines that are wholly free, of spans with 2
 * or 4 objects to a line: whoever gets them shares no line with another.  `want` is a
 * multiple of that. */
static inline unsigned object_bits_take_lines(struct object_bits *bits, const uint8_t *cursor,
                                              unsigned want, uintptr_t base, size_t bytes,
                                              void **into)
{
    unsigned in_line = (unsigned)(NH_CACHE_LINE / bytes);
    uint64_t firsts = in_line == 2 ? 0x5555555555555555ULL : 0x1111111111111111ULL;
    unsigned taken = 0;
    for (unsigned i = *cursor; i < OBJECT_BITS_WORDS && taken < want; i++) {
        uint64_t whole = bits->free[i] & bits->free[i] >> 1;
        if (in_line == 4)
            whole &= whole >> 2;
        for (whole &= firsts; whole != 0 && taken < want; whole &= whole - 1) {
            unsigned at = (unsigned)__builtin_ctzll(whole);
            for (unsigned j = at; j < at + in_line; j++) {
                bits->free[i] &= ~((uint64_t)1 << j);
                into[taken++] = (void *)(base + ((size_t)i * 64 + j) * bytes);
            }
        }
    }
    return taken;
}

#endif
