/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * pprof.c - see pprof.h.
 */
#include "pprof.h"

#include "log.h"

#include <string.h>

/* ---- Protocol buffers ---- */

enum wire { WIRE_NUMBER = 0, WIRE_BYTES = 2 };

#define NUMBER_BYTES_MAX 10

/* Seven bits a byte, the lowest first; all bytes but the last have the eighth set. */
static size_t encode(unsigned char *at, uint64_t value)
{
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        at[n++] = (unsigned char)(value | 0x80);
    at[n++] = (unsigned char)value;
    return n;
}

static size_t encode_key(unsigned char *at, unsigned field, enum wire wire)
{
    return encode(at, (uint64_t)field << 3 | wire);
}

static void append(struct pprof_message *to, const void *at, size_t length)
{
    if (length > sizeof to->byte - to->used)
        return;
    memcpy(to->byte + to->used, at, length);
    to->used += length;
}

void pprof_add_packed(struct pprof_message *to, uint64_t value)
{
    unsigned char bytes[NUMBER_BYTES_MAX];
    size_t n = encode(bytes, value);
    append(to, bytes, n);
}

void pprof_add_number(struct pprof_message *to, unsigned field, uint64_t value)
{
    unsigned char bytes[2 * NUMBER_BYTES_MAX];
    size_t n = encode_key(bytes, field, WIRE_NUMBER);
    n += encode(bytes + n, value);
    append(to, bytes, n);
}

void pprof_add_message(struct pprof_message *to, unsigned field, const struct pprof_message *what)
{
    unsigned char bytes[2 * NUMBER_BYTES_MAX];
    size_t n = encode_key(bytes, field, WIRE_BYTES);
    n += encode(bytes + n, what->used);
    if (n + what->used > sizeof to->byte - to->used)
        return;
    append(to, bytes, n);
    append(to, what->byte, what->used);
}

/* ---- gzip ---- */

/* Of each value of four bits; the polynomial is RFC 1952's. */
static const uint32_t crc_of[16] = {
    0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
    0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

static uint32_t crc_add(uint32_t crc, const unsigned char *at, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        crc ^= at[i];
        crc = crc >> 4 ^ crc_of[crc & 0xf];
        crc = crc >> 4 ^ crc_of[crc & 0xf];
    }
    return crc;
}

static void write_all(struct pprof_file *file, const void *at, size_t length)
{
    if (file->error == 0)
        file->error = log_write_all(file->fd, at, length);
}

static void put_little_endian(unsigned char *at, uint32_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (unsigned char)(value >> (8 * i));
}

/* A stored block: whether it is the last, its length, and that inverted. */
static void write_block(struct pprof_file *file, bool last)
{
    unsigned char head[5] = {last};
    put_little_endian(head + 1, (uint32_t)file->used, 2);
    put_little_endian(head + 3, ~(uint32_t)file->used, 2);
    write_all(file, head, sizeof head);
    write_all(file, file->block, file->used);
    file->crc = crc_add(file->crc, file->block, file->used);
    file->length += (uint32_t)file->used;
    file->used = 0;
}

static void put(struct pprof_file *file, const unsigned char *at, size_t length)
{
    while (length > 0) {
        if (file->used == sizeof file->block)
            write_block(file, false);
        size_t n = sizeof file->block - file->used;
        if (n > length)
            n = length;
        memcpy(file->block + file->used, at, n);
        file->used += n;
        at += n;
        length -= n;
    }
}

void pprof_begin(struct pprof_file *file, int fd)
{
    file->fd = fd;
    file->error = 0;
    file->crc = UINT32_MAX;
    file->length = 0;
    file->used = 0;
    /* Magic, deflate, no flags, no time, nothing special, Unix. */
    static const unsigned char head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    write_all(file, head, sizeof head);
}

int pprof_end(struct pprof_file *file)
{
    write_block(file, true);
    unsigned char tail[8];
    put_little_endian(tail, ~file->crc, 4);
    put_little_endian(tail + 4, file->length, 4);
    write_all(file, tail, sizeof tail);
    return file->error;
}

void pprof_put_number(struct pprof_file *file, unsigned field, uint64_t value)
{
    unsigned char bytes[2 * NUMBER_BYTES_MAX];
    size_t n = encode_key(bytes, field, WIRE_NUMBER);
    n += encode(bytes + n, value);
    put(file, bytes, n);
}

static void put_bytes(struct pprof_file *file, unsigned field, const void *at, size_t length)
{
    unsigned char bytes[2 * NUMBER_BYTES_MAX];
    size_t n = encode_key(bytes, field, WIRE_BYTES);
    n += encode(bytes + n, length);
    put(file, bytes, n);
    put(file, at, length);
}

void pprof_put_string(struct pprof_file *file, unsigned field, const char *text)
{
    put_bytes(file, field, text, strlen(text));
}

void pprof_put_message(struct pprof_file *file, unsigned field, const struct pprof_message *what)
{
    put_bytes(file, field, what->byte, what->used);
}
