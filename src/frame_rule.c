/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * frame_rule.c - see frame_rule.h.
 */
#include "frame_rule.h"

#include <string.h>

/* ---- Reading ---- */

struct reader {
    const uint8_t *at, *end;
};

static bool at_end(const struct reader *in)
{
    return in->at >= in->end;
}

/* So many bytes, little-endian. */
static uint64_t take_bytes(struct reader *in, size_t bytes)
{
    uint64_t value = 0;
    if ((size_t)(in->end - in->at) < bytes) {
        in->at = in->end;
        return 0;
    }
    memcpy(&value, in->at, bytes);
    in->at += bytes;
    return value;
}

static void skip(struct reader *in, uint64_t bytes)
{
    in->at = bytes < (size_t)(in->end - in->at) ? in->at + bytes : in->end;
}

/* LEB128: seven bits a byte, the lowest first; the top bit says that more follow. */
static uint64_t take_leb(struct reader *in, bool is_signed)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte = 0x80;
    while ((byte & 0x80) != 0 && !at_end(in)) {
        byte = *in->at++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    }
    if (is_signed && (byte & 0x40) != 0 && shift < 64)
        value |= UINT64_MAX << shift;
    return value;
}

static uint64_t take_unsigned(struct reader *in)
{
    return take_leb(in, false);
}

static int64_t take_signed(struct reader *in)
{
    return (int64_t)take_leb(in, true);
}

/* Encodings of pointers (Linux Standard Base, "DWARF Extensions"). */
enum {
    POINTER_SIZE = 0x07, /* and POINTER_FORM ... */
    POINTER_NATIVE = 0x00,
    POINTER_LEB = 0x01,
    POINTER_2 = 0x02,
    POINTER_4 = 0x03,
    POINTER_8 = 0x04,
    POINTER_ALIGNED = 0x50,
    POINTER_NONE = 0xff
};

static bool skip_pointer(struct reader *in, unsigned encoding)
{
    if (encoding == POINTER_NONE)
        return true;
    if ((encoding & 0x70) == POINTER_ALIGNED)
        return false;
    switch (encoding & POINTER_SIZE) {
    case POINTER_NATIVE:
    case POINTER_8:
        skip(in, 8);
        return true;
    case POINTER_LEB:
        (void)take_unsigned(in);
        return true;
    case POINTER_2:
        skip(in, 2);
        return true;
    case POINTER_4:
        skip(in, 4);
        return true;
    default:
        return false;
    }
}

/* ---- An entry ---- */

/* What an entry (FDE) and the one of what it has in common with others (CIE) say. */
struct entry {
    struct reader common, own; /* programs */
    uint64_t code_unit;
    int64_t data_unit;
};

/* A length, then so many bytes; false for the 64-bit form. */
static bool open_record(const void *record, struct reader *out)
{
    uint32_t length;
    memcpy(&length, record, sizeof length);
    out->at = (const uint8_t *)record + sizeof length;
    out->end = out->at + length;
    return length != UINT32_MAX && length > sizeof(uint32_t);
}

/* The augmentation: what stands between the CIE's fixed part and its program. */
static bool read_augmentation(struct reader *in, const char *letters, unsigned *pointers)
{
    if (*letters != 'z')
        return *letters == '\0'; /* old forms */
    uint64_t length = take_unsigned(in);
    struct reader data = {in->at, in->at};
    skip(in, length);
    data.end = in->at;
    while (*++letters != '\0') {
        switch (*letters) {
        case 'R':
            *pointers = (unsigned)take_bytes(&data, 1);
            break;
        case 'L':
            skip(&data, 1);
            break;
        case 'P':
            if (!skip_pointer(&data, (unsigned)take_bytes(&data, 1)))
                return false;
            break;
        default: /* 'S': a handler's caller was not at a call */
            return false;
        }
    }
    return true;
}

static bool open_entry(const void *fde, struct entry *out)
{
    struct reader cie;
    if (!open_record(fde, &out->own))
        return false;
    const uint8_t *reference = out->own.at;
    uint32_t distance = (uint32_t)take_bytes(&out->own, sizeof distance);
    if (!open_record(reference - distance, &cie))
        return false;
    skip(&cie, sizeof(uint32_t)); /* that it is a CIE */
    uint64_t version = take_bytes(&cie, 1);
    const char *letters = (const char *)cie.at;
    size_t length = strnlen(letters, (size_t)(cie.end - cie.at));
    if ((version != 1 && version != 3) || letters + length == (const char *)cie.end)
        return false;
    skip(&cie, length + 1);
    out->code_unit = take_unsigned(&cie);
    out->data_unit = take_signed(&cie);
    (void)(version == 1 ? take_bytes(&cie, 1) : take_unsigned(&cie)); /* return address */
    unsigned pointers = POINTER_NATIVE;
    if (!read_augmentation(&cie, letters, &pointers))
        return false;
    out->common = cie;
    /* Begin and length of the function. */
    if (!skip_pointer(&out->own, pointers) || !skip_pointer(&out->own, pointers & POINTER_SIZE))
        return false;
    if (*letters == 'z')
        skip(&out->own, take_unsigned(&out->own));
    return true;
}

/* ---- Programs ---- */

/* Registers by their DWARF numbers. */
enum { REGISTER_FP = 6, REGISTER_SP = 7, REGISTER_RETURN = 16 };

/* Those whose values are of interest; all others share a place. */
enum { FP, RETURN, OTHERS, PLACES };

static unsigned place_of(uint64_t number)
{
    return number == REGISTER_FP ? FP : number == REGISTER_RETURN ? RETURN : OTHERS;
}

/* Where the caller's value of a register is. */
struct saved {
    enum { IN_PLACE, BELOW_CFA, NOWHERE, ELSEWHERE } where;
    int64_t offset; /* from the CFA */
};

/* A row of the table that the programs stand for. */
struct row {
    bool is_simple; /* the CFA is a register and an offset */
    uint64_t cfa_register;
    int64_t cfa_offset;
    struct saved saved[PLACES];
};

#define ROWS_REMEMBERED 8

struct machine {
    const struct entry *entry;
    struct row row;
    struct row first; /* as the common program leaves it */
    struct row remembered[ROWS_REMEMBERED];
    unsigned depth;
    uintptr_t at; /* the row is for this instruction and those that follow */
    uintptr_t pc;
};

static void save(struct machine *it, uint64_t number, int64_t offset)
{
    it->row.saved[place_of(number)] = (struct saved){.where = BELOW_CFA, .offset = offset};
}

static void save_as(struct machine *it, uint64_t number, struct saved saved)
{
    it->row.saved[place_of(number)] = saved;
}

static void define_cfa(struct machine *it, uint64_t number, int64_t offset)
{
    it->row.is_simple = true;
    it->row.cfa_register = number;
    it->row.cfa_offset = offset;
}

/* A factored offset in bytes.  One that is too large is nonsense, but a number. */
static int64_t in_bytes(const struct machine *it, uint64_t units)
{
    return (int64_t)(units * (uint64_t)it->entry->data_unit);
}

static void advance(struct machine *it, uint64_t units)
{
    it->at += units * it->entry->code_unit;
}

/* The instructions that have a number of six bits. */
enum {
    SET_LOCATION = 0x01,
    ADVANCE_1,
    ADVANCE_2,
    ADVANCE_4,
    OFFSET_EXTENDED,
    RESTORE_EXTENDED,
    UNDEFINED,
    SAME_VALUE,
    REGISTER,
    REMEMBER,
    RESTORE_STATE,
    DEFINE_CFA,
    DEFINE_CFA_REGISTER,
    DEFINE_CFA_OFFSET,
    DEFINE_CFA_EXPRESSION,
    EXPRESSION,
    OFFSET_EXTENDED_SIGNED,
    DEFINE_CFA_SIGNED,
    DEFINE_CFA_OFFSET_SIGNED,
    VALUE_OFFSET,
    VALUE_OFFSET_SIGNED,
    VALUE_EXPRESSION,
    ARGUMENTS_SIZE = 0x2e
};
/* Those that have their first operand in the low bits. */
enum { PRIMARY = 0xc0, ADVANCE = 0x40, OFFSET = 0x80, RESTORE = 0xc0 };

/* Of the CFA; false for what is not known. */
static bool run_cfa(struct machine *it, struct reader *in, unsigned code)
{
    uint64_t number;
    switch (code) {
    case DEFINE_CFA:
        number = take_unsigned(in);
        define_cfa(it, number, (int64_t)take_unsigned(in));
        return true;
    case DEFINE_CFA_SIGNED:
        number = take_unsigned(in);
        define_cfa(it, number, in_bytes(it, (uint64_t)take_signed(in)));
        return true;
    case DEFINE_CFA_REGISTER:
        it->row.cfa_register = take_unsigned(in);
        return true;
    case DEFINE_CFA_OFFSET:
        it->row.cfa_offset = (int64_t)take_unsigned(in);
        return true;
    case DEFINE_CFA_OFFSET_SIGNED:
        it->row.cfa_offset = in_bytes(it, (uint64_t)take_signed(in));
        return true;
    case DEFINE_CFA_EXPRESSION:
        skip(in, take_unsigned(in));
        it->row.is_simple = false;
        return true;
    default:
        return false;
    }
}

/* Of other registers; false for what is not known. */
static bool run_register(struct machine *it, struct reader *in, unsigned code)
{
    uint64_t number = take_unsigned(in);
    switch (code) {
    case OFFSET_EXTENDED:
        save(it, number, in_bytes(it, take_unsigned(in)));
        return true;
    case OFFSET_EXTENDED_SIGNED:
        save(it, number, in_bytes(it, (uint64_t)take_signed(in)));
        return true;
    case RESTORE_EXTENDED:
        save_as(it, number, it->first.saved[place_of(number)]);
        return true;
    case UNDEFINED:
        save_as(it, number, (struct saved){.where = NOWHERE});
        return true;
    case SAME_VALUE:
        save_as(it, number, (struct saved){.where = IN_PLACE});
        return true;
    case REGISTER:
    case VALUE_OFFSET:
    case VALUE_OFFSET_SIGNED:
        (void)take_unsigned(in);
        save_as(it, number, (struct saved){.where = ELSEWHERE});
        return true;
    case EXPRESSION:
    case VALUE_EXPRESSION:
        skip(in, take_unsigned(in));
        save_as(it, number, (struct saved){.where = ELSEWHERE});
        return true;
    default:
        return false;
    }
}

static bool run_extended(struct machine *it, struct reader *in, unsigned code)
{
    switch (code) {
    case 0: /* padding */
        return true;
    case ADVANCE_1:
        advance(it, take_bytes(in, 1));
        return true;
    case ADVANCE_2:
        advance(it, take_bytes(in, 2));
        return true;
    case ADVANCE_4:
        advance(it, take_bytes(in, 4));
        return true;
    case REMEMBER:
        if (it->depth == ROWS_REMEMBERED)
            return false;
        it->remembered[it->depth++] = it->row;
        return true;
    case RESTORE_STATE:
        if (it->depth == 0)
            return false;
        it->row = it->remembered[--it->depth];
        return true;
    case ARGUMENTS_SIZE:
        (void)take_unsigned(in);
        return true;
    default:
        return run_cfa(it, in, code) || run_register(it, in, code);
    }
}

/* Up to the row for the pc; false when there is something that is not known here. */
static bool run(struct machine *it, struct reader in)
{
    while (!at_end(&in) && it->at <= it->pc) {
        unsigned code = *in.at++, operand = code & ~(unsigned)PRIMARY;
        switch (code & PRIMARY) {
        case ADVANCE:
            advance(it, operand);
            break;
        case OFFSET:
            save(it, operand, in_bytes(it, take_unsigned(&in)));
            break;
        case RESTORE:
            save_as(it, operand, it->first.saved[place_of(operand)]);
            break;
        default:
            if (!run_extended(it, &in, code))
                return false;
        }
    }
    return true;
}

/* ---- Rules ---- */

static bool in_words(int64_t bytes, uint16_t *words)
{
    *words = (uint16_t)((uint64_t)bytes / FRAME_WORD);
    return bytes > 0 && bytes % (int64_t)FRAME_WORD == 0 &&
           bytes / (int64_t)FRAME_WORD <= UINT16_MAX;
}

static struct frame_rule rule_of(const struct row *row)
{
    struct frame_rule rule = {.kind = FRAME_ASK};
    const struct saved *fp = &row->saved[FP], *from = &row->saved[RETURN];
    if (from->where == NOWHERE)
        return (struct frame_rule){.kind = FRAME_LAST};
    if (from->where != BELOW_CFA || from->offset != -(int64_t)FRAME_WORD || !row->is_simple ||
        !in_words(row->cfa_offset, &rule.cfa))
        return (struct frame_rule){.kind = FRAME_ASK};
    if (fp->where != IN_PLACE &&
        (fp->where != BELOW_CFA || !in_words((int64_t)(0 - (uint64_t)fp->offset), &rule.fp)))
        return (struct frame_rule){.kind = FRAME_ASK};
    if (row->cfa_register == REGISTER_SP)
        rule.kind = FRAME_BY_SP;
    else if (row->cfa_register == REGISTER_FP)
        rule.kind = FRAME_BY_FP;
    return rule;
}

struct frame_rule frame_rule_read(const void *fde, uintptr_t begin, uintptr_t pc)
{
    struct entry entry;
    if (!open_entry(fde, &entry))
        return (struct frame_rule){.kind = FRAME_ASK};
    struct machine it = {.entry = &entry, .at = begin, .pc = pc};
    if (!run(&it, entry.common))
        return (struct frame_rule){.kind = FRAME_ASK};
    it.first = it.row;
    if (!run(&it, entry.own))
        return (struct frame_rule){.kind = FRAME_ASK};
    return rule_of(&it.row);
}
