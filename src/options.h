/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * options.h - the environment variables that tune nearheap, from the one
 * table options.def.
 *
 * options_load reads the environment; until then every option has its default.
 * Afterwards only retune.c changes values, of options that are LIVE: numbers are
 * relaxed atomics, so that reading one needs no lock; the texts that change, and who may
 * read them, are said at options_set_text.
 */
#ifndef NH_OPTIONS_H
#define NH_OPTIONS_H

#include "base.h"

enum option_id {
#define OPTION(id, variable, kind, when, dflt, least, most, words, meaning) OPT_##id,
#include "options.def"
#undef OPTION
    OPTIONS
};

enum bad_free { BAD_FREE_ABORT, BAD_FREE_REPORT, BAD_FREE_IGNORE };

/* The value of a NUMBER, BYTES or WORD option. */
long options_get(enum option_id id);
/* The value of a TEXT option; "" when unset. */
const char *options_text(enum option_id id);
/* As it would be written in the environment; numbers as such, without a suffix. */
struct text;
void options_print(struct text *to, enum option_id id);

/* Reads the environment once, also before the C library has set `environ`; later
 * calls do nothing.  Prints a line for each value
 * that is ill-formed and each unknown NEARHEAP_ variable.  Never allocates.
 * Not to be called by two threads at once. */
void options_load(void);

/* For retune.c.  A text that is short enough for options_parse; of the options that are LIVE
 * only NODE_LIMIT has one, which is read, and set, under the lock of heaps' creation. */
void options_set(enum option_id id, long value);
void options_set_text(enum option_id id, const char *value);

enum option_kind { OPTION_NUMBER, OPTION_BYTES, OPTION_WORD, OPTION_TEXT };
enum option_when { OPTION_START, OPTION_LIVE };
struct option {
    const char *variable;
    enum option_kind kind;
    enum option_when when;
    long dflt, least, most;
    const char *words;
    const char *meaning;
};
/* One row of the table, for printing. */
const struct option *options_row(enum option_id id);
/* The option whose variable is the first `length` characters of `name`; OPTIONS if there is
 * none. */
enum option_id options_find(const char *name, size_t length);
/* Parses `value` for `option` into `out`; false when it is ill-formed.  Pure. */
bool options_parse(const struct option *option, const char *value, long *out);
/* Why options_parse refuses `value`. */
void options_refuse(struct text *to, const struct option *option, const char *value);

#endif
