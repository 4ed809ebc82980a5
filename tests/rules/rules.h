/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * rules.h - what the tests of rules share: their declarations, sizes, and contents.
 */
#ifndef NH_TEST_RULES_H
#define NH_TEST_RULES_H

#include "../family.h"
#include "../sanitizers.h"
#include "resident.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RULE(name, says)             void name(void **state);
#define DIFFERS(name, says, how_not) void name(void **state);
#include "rules.def"
#undef RULE
#undef DIFFERS

/* An errno that nothing here sets. */
#define UNTOUCHED 1234

/* One of small, of medium and of large objects each, and their neighbours. */
extern const size_t rules_sizes[];
extern const size_t rules_size_count;

/* That the compiler does not know what it is: it warns of sizes that are too large. */
size_t rules_opaque(size_t size);

/* Writes bytes that follow from `seed`; is there nothing else in them? */
void rules_fill(void *at, size_t size, unsigned seed);
bool rules_is_filled(const void *at, size_t size, unsigned seed);
void rules_check(const void *at, size_t size, unsigned seed);
/* Two objects share nothing: what is written to one leaves the other, also when the first is
 * freed.  Frees both. */
void rules_check_apart(void *at, size_t size, void *other, size_t other_size);
void rules_check_zero(const void *at, size_t size);

/* A pointer that is not null and has this alignment. */
void rules_check_aligned(const void *at, size_t alignment);

/* Memory that is resident is no more than it was but for what may be kept: by one node, on which
 * the thread stays (stay.h) if it is much. */
void rules_check_resident(size_t before);
/* Objects are written to and freed until that would show; `free_it` is told their size. */
void rules_check_frees(void *(*give)(size_t size), void (*free_it)(void *at, size_t size));

/* Each function that gives an object, asked for a size. */
struct rules_giver {
    const char *name;
    void *(*give)(size_t size);
};
#define RULES_GIVERS 10
extern const struct rules_giver rules_givers[RULES_GIVERS];

#endif
