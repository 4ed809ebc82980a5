/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * mutate.c - how libFuzzer changes an input of calls.c: by whole calls.  By bytes, as it does of
 * itself, an insertion makes other calls of all that follow.
 */
#include "call.h"
#include "fuzz.h"

#include <stdbool.h>

#define HEAD_BYTES 1 /* of an input, before its calls */

/* libFuzzer's own mutation of some bytes; its interface. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size, const uint8_t *other,
                                 size_t other_size, uint8_t *out, size_t most, unsigned seed);

static unsigned next(unsigned *random)
{
    *random = *random * 1664525U + 1013904223U;
    return *random >> 8;
}

/* More are not looked at. */
static size_t calls_in(size_t size)
{
    size_t calls = size < HEAD_BYTES ? 0 : (size - HEAD_BYTES) / CALL_BYTES;
    return calls < CALLS_MOST ? calls : CALLS_MOST;
}

struct sequence {
    uint8_t *calls;
    size_t count, most;
};

static size_t pick(const struct sequence *sequence, unsigned *random)
{
    return next(random) % sequence->count;
}

static uint8_t *call_at(const struct sequence *sequence, size_t i)
{
    return sequence->calls + i * CALL_BYTES;
}

/* Makes room for `more` calls before the one at `i`; false where there is none. */
static bool open_gap(struct sequence *sequence, size_t i, size_t more)
{
    if (more > sequence->most - sequence->count)
        return false;
    memmove(call_at(sequence, i + more), call_at(sequence, i), (sequence->count - i) * CALL_BYTES);
    sequence->count += more;
    return true;
}

static void insert_one(struct sequence *sequence, unsigned *random)
{
    size_t i = next(random) % (sequence->count + 1);
    if (!open_gap(sequence, i, 1))
        return;
    for (size_t byte = 0; byte < CALL_BYTES; byte++)
        call_at(sequence, i)[byte] = (uint8_t)next(random);
}

static void remove_some(struct sequence *sequence, unsigned *random)
{
    size_t i = pick(sequence, random), less = 1 + next(random) % 8;
    if (less > sequence->count - i)
        less = sequence->count - i;
    sequence->count -= less;
    memmove(call_at(sequence, i), call_at(sequence, i + less), (sequence->count - i) * CALL_BYTES);
}

/* Some calls once more, elsewhere. */
static void repeat_some(struct sequence *sequence, unsigned *random)
{
    uint8_t copy[16 * CALL_BYTES];
    size_t i = pick(sequence, random), more = 1 + next(random) % 16;
    if (more > sequence->count - i)
        more = sequence->count - i;
    memcpy(copy, call_at(sequence, i), more * CALL_BYTES);
    size_t to = next(random) % (sequence->count + 1);
    if (open_gap(sequence, to, more))
        memcpy(call_at(sequence, to), copy, more * CALL_BYTES);
}

static void change_one(struct sequence *sequence, unsigned *random)
{
    (void)LLVMFuzzerMutate(call_at(sequence, pick(sequence, random)), CALL_BYTES, CALL_BYTES);
}

/* The same call of another object, or another call of the same one. */
static void redirect_one(struct sequence *sequence, unsigned *random)
{
    uint8_t *call = call_at(sequence, pick(sequence, random));
    const uint8_t *from = call_at(sequence, pick(sequence, random));
    size_t byte = next(random) % CALL_BYTES;
    call[byte] = from[byte];
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    unsigned random = seed;
    if (most < HEAD_BYTES + CALL_BYTES)
        return LLVMFuzzerMutate(data, size, most);
    if (size < HEAD_BYTES)
        data[0] = (uint8_t)next(&random);
    struct sequence sequence = {
        .calls = data + HEAD_BYTES, .count = calls_in(size), .most = calls_in(most)};
    if (next(&random) % 16 == 0)
        data[0] = (uint8_t)next(&random);
    unsigned changes = 1 + next(&random) % 4;
    for (unsigned i = 0; i < changes; i++) {
        unsigned how = sequence.count == 0 ? 0 : next(&random) % 8;
        if (how <= 1)
            insert_one(&sequence, &random);
        else if (how == 2)
            remove_some(&sequence, &random);
        else if (how == 3)
            repeat_some(&sequence, &random);
        else if (how == 4)
            redirect_one(&sequence, &random);
        else
            change_one(&sequence, &random);
    }
    return HEAD_BYTES + sequence.count * CALL_BYTES;
}

/* The first calls of one, and then the last ones of the other. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size, const uint8_t *other,
                                 size_t other_size, uint8_t *out, size_t most, unsigned seed)
{
    unsigned random = seed;
    size_t ones = calls_in(one_size), others = calls_in(other_size), room = calls_in(most);
    if (ones == 0 || others == 0 || most < HEAD_BYTES)
        return 0;
    size_t first = next(&random) % (ones + 1), last = next(&random) % (others + 1);
    if (first > room)
        first = room;
    if (last > room - first)
        last = room - first;
    out[0] = one[0];
    memcpy(out + HEAD_BYTES, one + HEAD_BYTES, first * CALL_BYTES);
    memcpy(out + HEAD_BYTES + first * CALL_BYTES, other + HEAD_BYTES + (others - last) * CALL_BYTES,
           last * CALL_BYTES);
    return HEAD_BYTES + (first + last) * CALL_BYTES;
}
