/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * harden_object.c - see harden_object.h.
 */
#include "harden_object.h"

#include "bad_pointer.h"
#include "check_word.h"
#include "lookup.h"
#include "options.h"
#include "probe.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

/* The least byte that room behind objects is filled with. */
#define FILL_LEAST 0x80U
/* What a freed object holds while it waits: as an address it is nobody's. */
#define PATTERN 0xdf

static struct check_secret secret; /* constant after boot */

void harden_object_boot(struct keystream *random)
{
    for (unsigned i = 0; i < 2; i++) {
        secret.key[i] = keystream_draw(random);
        secret.key[i] = secret.key[i] << 32 | keystream_draw(random);
    }
    /* No byte of ASCII text, nor its end: what runs over most often is always seen. */
    secret.fill = (uint8_t)(FILL_LEAST + keystream_below(keystream_draw(random), FILL_LEAST));
}

/* ---- Where objects lie, and their words ---- */

bool harden_object_find(const void *ptr, struct harden_object *found)
{
    const struct span *span = span_table_hint((uintptr_t)ptr);
    if (nh_unlikely(span == NULL || span_state(span) != SPAN_IN_USE || span->objects == 0))
        return false;
    size_t offset = (uintptr_t)ptr - span->base;
    unsigned index = size_class_index(span->index_magic, offset);
    *found = (struct harden_object){.at = (char *)(uintptr_t)ptr,
                                    .room = span->bytes - CHECK_WORD_BYTES,
                                    .span = span,
                                    .index = index};
    return (size_t)index * span->bytes == offset && index < span->objects;
}

static _Atomic uint64_t *word_at(const struct harden_object *object)
{
    return (_Atomic uint64_t *)(void *)(object->at + object->room);
}

/* Relaxed: between threads an object and its word go by the program's own ordering, or under
 * its span's and the quarantine's locks. */
static uint64_t read_word(const struct harden_object *object)
{
    return atomic_load_explicit(word_at(object), memory_order_relaxed);
}

static void write_word(const struct harden_object *object, uint64_t word)
{
    atomic_store_explicit(word_at(object), word, memory_order_relaxed);
}

static uint64_t word_of(const struct harden_object *object, unsigned unused)
{
    return check_word_make(&secret, (uintptr_t)object->at, unused);
}

/* Whether the word is that of a live object, and how many of its bytes are unused. */
static bool is_live(const struct harden_object *object, uint64_t word, unsigned *unused)
{
    *unused = check_word_unused(&secret, word);
    return nh_likely(*unused <= object->room && word == word_of(object, *unused));
}

bool harden_object_size(const struct harden_object *object, size_t *size)
{
    unsigned unused;
    if (!is_live(object, read_word(object), &unused))
        return false;
    *size = object->room - unused;
    return true;
}

void harden_object_set_size(const struct harden_object *object, size_t size)
{
    unsigned unused = (unsigned)(object->room - size);
    memset(object->at + size, secret.fill, unused);
    write_word(object, word_of(object, unused));
}

/* ---- What is found ---- */

/* Nearly always they are. */
static bool all_are(const char *from, size_t bytes, uint8_t byte)
{
    return bytes == 0 || ((uint8_t)*from == byte && memcmp(from, from + 1, bytes - 1) == 0);
}

/* The first of `bytes` that is not `byte`; `bytes` when all are. */
static size_t first_other(const char *from, size_t bytes, uint8_t byte)
{
    size_t i = all_are(from, bytes, byte) ? bytes : 0;
    while (i < bytes && (uint8_t)from[i] == byte)
        i++;
    return i;
}

/* False when nothing is to be said of it. */
static bool begin_report(const char *call, const void *ptr)
{
    probe_bad_free(ptr, call);
    return options_get(OPT_BAD_FREE) != BAD_FREE_IGNORE;
}

static NH_SLOW void report_fill(const char *call, const struct harden_object *object, size_t size,
                                size_t where)
{
    if (!begin_report(call, object->at))
        return;
    bad_pointer_line("bad %s of %p: written behind an object of %zu bytes: 0x%02x at byte %zu",
                     call, (void *)object->at, size, (uint8_t)object->at[where], where);
    bad_pointer_act(object->at);
}

static NH_SLOW void report_word(const char *call, const struct harden_object *object, uint64_t word)
{
    if (!begin_report(call, object->at))
        return;
    bad_pointer_line(
        "bad %s of %p: written behind an object of at most %zu bytes: its check word is "
        "0x%016" PRIx64,
        call, (void *)object->at, object->room, word);
    bad_pointer_act(object->at);
}

static NH_SLOW void report_write(const struct harden_object *object, size_t where)
{
    if (!begin_report("write", object->at))
        return;
    bad_pointer_line(
        "bad write to %p: already free: an object of at most %zu bytes has 0x%02x at byte %zu",
        (void *)object->at, object->room, (uint8_t)object->at[where], where);
    bad_pointer_act(object->at);
}

/* One that was never given out, or has left quarantine, has the word 0. */
static NH_SLOW void report_not_live(const char *call, const struct harden_object *object,
                                    uint64_t word)
{
    if (word == word_of(object, CHECK_WORD_FREE) ||
        (word == 0 && lookup_bit(&object->span->bits, object->index)))
        bad_pointer_report(call, object->at);
    else
        report_word(call, object, word);
}

static bool check(const char *call, const struct harden_object *object, uint64_t word)
{
    unsigned unused;
    if (!is_live(object, word, &unused)) {
        report_not_live(call, object, word);
        return false;
    }
    size_t size = object->room - unused;
    size_t other = size + first_other(object->at + size, unused, secret.fill);
    if (nh_unlikely(other != object->room)) {
        report_fill(call, object, size, other);
        memset(object->at + size, secret.fill, unused); /* it is told once */
    }
    return true;
}

bool harden_object_check(const char *call, const struct harden_object *object)
{
    return check(call, object, read_word(object));
}

/* Reports the first byte of one that is not live that is another than in one filled with
 * `fill` and with that word; whether there is any. */
static bool find_write(const struct harden_object *object, uint8_t fill, uint64_t word)
{
    size_t first = first_other(object->at, object->room, fill);
    uint64_t differ = read_word(object) ^ word;
    if (nh_likely(first == object->room && differ == 0))
        return false;
    /* The processors that we run on have the low byte first. */
    if (first == object->room)
        first += (size_t)__builtin_ctzll(differ) / CHAR_BIT;
    report_write(object, first);
    return true;
}

/* ---- From one to the next ---- */

void harden_object_give_out(void *ptr, size_t size)
{
    struct harden_object object;
    nh_require(harden_object_find(ptr, &object));
    if (nh_unlikely(find_write(&object, 0, 0)))
        memset(object.at, 0, object.room);
    harden_object_set_size(&object, size);
}

bool harden_object_free(const struct harden_object *object)
{
    uint64_t word = read_word(object);
    do {
        /* Of which it is not known what it is stays as it is for ever. */
        if (nh_unlikely(!check("free", object, word)))
            return false;
    } while (!atomic_compare_exchange_strong_explicit(word_at(object), &word,
                                                      word_of(object, CHECK_WORD_FREE),
                                                      memory_order_relaxed, memory_order_relaxed));
    memset(object->at, PATTERN, object->room);
    return true;
}

void harden_object_leave(const struct harden_object *object)
{
    (void)find_write(object, PATTERN, word_of(object, CHECK_WORD_FREE));
    memset(object->at, 0, object->room);
    write_word(object, 0);
}
