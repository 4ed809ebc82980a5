/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * frames.c - any contents of unwind tables' entries, as compilers, and people who write
 * assembly, leave them in a program: what a rule is read out of ends within them, and is one.
 *
 * The first byte of an input says how much of it is the common entry, the second which
 * instruction is looked for; lengths and the reference are put around the rest, since the
 * loader finds its way by them, too.
 */
#include "fuzz.h"

#include "frame_rule.h"

#define HEAD_BYTES 2
#define BEGIN      ((uintptr_t)0x401000)

/* A length, a number and the contents; returns what follows. */
static uint8_t *put_record(uint8_t *at, uint32_t number, const uint8_t *data, size_t size)
{
    uint32_t length = (uint32_t)(sizeof(number) + size);
    memcpy(at, &length, sizeof(length));
    memcpy(at + sizeof(length), &number, sizeof(number));
    memcpy(at + sizeof(length) + sizeof(number), data, size);
    return at + sizeof(length) + length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD_BYTES)
        return 0;
    size_t common = data[0], rest = size - HEAD_BYTES;
    uintptr_t pc = BEGIN + data[1];
    if (common > rest)
        common = rest;
    /* Of just that size, so that a read behind it is seen. */
    uint8_t *records = malloc(2 * (sizeof(uint32_t) + sizeof(uint32_t)) + rest);
    FUZZ_CHECK(records != NULL);
    uint8_t *own = put_record(records, 0, data + HEAD_BYTES, common);
    uint32_t distance = (uint32_t)(own + sizeof(uint32_t) - records);
    (void)put_record(own, distance, data + HEAD_BYTES + common, rest - common);
    struct frame_rule rule = frame_rule_read(own, BEGIN, pc);
    FUZZ_CHECK(rule.kind > FRAME_UNKNOWN && rule.kind <= FRAME_BY_FP);
    FUZZ_CHECK((rule.kind != FRAME_BY_SP && rule.kind != FRAME_BY_FP) || rule.cfa != 0);
    free(records);
    return 0;
}
