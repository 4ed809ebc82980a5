/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * stamps.h - what tests write into objects: words that follow from the object's address, a
 * seed and the offset, so that two that overlap, a byte that somebody else wrote, and a realloc
 * that lost some show.  Of what is large only words here and there are written.
 */
#ifndef NH_TEST_STAMPS_H
#define NH_TEST_STAMPS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define STAMPS_DENSE  4096 /* bytes that are stamped word by word */
#define STAMPS_STRIDE 2048 /* beyond, a word so often */
#define STAMPS_GOOD   SIZE_MAX

/* The offset of the next word that is stamped. */
static inline size_t stamps_after(size_t offset)
{
    return offset < STAMPS_DENSE ? offset + 8 : offset + STAMPS_STRIDE;
}

static inline uint64_t stamps_word(const void *at, uint64_t seed, size_t offset)
{
    return ((uint64_t)(uintptr_t)at ^ seed) + offset * UINT64_C(0x9e3779b97f4a7c15);
}

static inline void stamps_write(void *at, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i = stamps_after(i)) {
        uint64_t word = stamps_word(at, seed, i);
        memcpy((char *)at + i, &word, size - i < 8 ? size - i : 8);
    }
}

/* The offset at which the first `size` bytes are not what was written to an object that was
 * at `was`; STAMPS_GOOD when all are. */
static inline size_t stamps_check(const void *at, size_t size, const void *was, uint64_t seed)
{
    for (size_t i = 0; i < size; i = stamps_after(i)) {
        uint64_t word = stamps_word(was, seed, i);
        if (memcmp((const char *)at + i, &word, size - i < 8 ? size - i : 8) != 0)
            return i;
    }
    return STAMPS_GOOD;
}

/* The same for zeros. */
static inline size_t stamps_check_zero(const void *at, size_t size)
{
    for (size_t i = 0; i < size; i = stamps_after(i))
        if (((const unsigned char *)at)[i] != 0)
            return i;
    return STAMPS_GOOD;
}

#endif
