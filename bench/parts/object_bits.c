/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * object_bits.c - free objects out of a span's bitmap, word by word: the inner
 * loop of a refill, without list, lock and descriptor.
 */
#include "parts.h"

#include "magazine.h"
#include "object_bits.h"

#define BASE  ((uintptr_t)1 << 40) /* made up, never touched */
#define BYTES 64

/* By objects a batch: all free objects out of a span, of which one in `every`
 * is free.  An operation is an object; putting the bits there again, 64 bytes,
 * is spread over all of them. */
static void take(struct bench_state *state, unsigned every)
{
    unsigned batch = (unsigned)bench_range(state, 0);
    unsigned objects = NH_SPAN_OBJECTS_MAX / every;
    struct object_bits all;
    uint8_t cursor = 0;
    object_bits_fill(&all, 0);
    for (unsigned i = 0; i < objects; i++)
        (void)object_bits_put(&all, &cursor, i * every);

    static void *taken[NH_SPAN_OBJECTS_MAX];
    bool exact = true;
    while (bench_keep_running_batch(state, objects)) {
        struct object_bits bits = all;
        unsigned n = 0, more;
        cursor = 0;
        do {
            more = object_bits_take(&bits, &cursor, batch, BASE, BYTES, &taken[n]);
            n += more;
        } while (more == batch && n < objects);
        exact &= n == objects;
        bench_use(taken);
    }
    for (unsigned i = 0; i < objects; i++)
        exact &= (uintptr_t)taken[i] == BASE + (size_t)i * every * BYTES;
    if (!exact)
        bench_skip(state, "not each free object once, in order");
}

static void dense(struct bench_state *state)
{
    take(state, 1);
}

static void sparse(struct bench_state *state)
{
    take(state, 16);
}

/* One free object a word. */
static void lonely(struct bench_state *state)
{
    take(state, 64);
}

void parts_register_object_bits(void)
{
    static const struct {
        const char *name;
        bench_fn *fn;
    } by_word[] = {{"bitmap_refill_64_a_word", dense},
                   {"bitmap_refill_4_a_word", sparse},
                   {"bitmap_refill_1_a_word", lonely}};
    for (size_t i = 0; i < sizeof by_word / sizeof *by_word; i++) {
        struct bench *b = bench_register(by_word[i].name, by_word[i].fn);
        bench_arg_range(b, 1, MAGAZINE_ROUNDS, 4);
    }
}
