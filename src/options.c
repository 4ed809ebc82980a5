/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * options.c - see options.h.  The one place that reads the environment.
 */
#include "options.h"

#include "limits.h"
#include "log.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>

/* Long enough for a path or a topology. */
#define OPTION_TEXT_MAX 512
#define OPTION_PREFIX   "NEARHEAP_"

static const struct option rows[OPTIONS] = {
#define OPTION(id, variable, kind, when, dflt, least, most, words, meaning)                        \
    {variable, OPTION_##kind, OPTION_##when, dflt, least, most, words, meaning},
#include "options.def"
#undef OPTION
};

/* Relaxed: who reads one that changes has the old one or the new. */
static _Atomic long values[OPTIONS] = {
#define OPTION(id, variable, kind, when, dflt, least, most, words, meaning) dflt,
#include "options.def"
#undef OPTION
};

static NH_TOGETHER bool loaded;
/* Texts are copied: the environment may change under us. */
static char texts[OPTIONS][OPTION_TEXT_MAX];

long options_get(enum option_id id)
{
    return atomic_load_explicit(&values[id], memory_order_relaxed);
}

const char *options_text(enum option_id id)
{
    return texts[id];
}

void options_set(enum option_id id, long value)
{
    atomic_store_explicit(&values[id], value, memory_order_relaxed);
}

void options_set_text(enum option_id id, const char *value)
{
    nh_assert(strlen(value) < OPTION_TEXT_MAX);
    memcpy(texts[id], value, strlen(value) + 1);
}

void options_print(struct text *to, enum option_id id)
{
    long value = options_get(id);
    if (rows[id].kind == OPTION_TEXT) {
        text_add(to, "%s", texts[id]);
    } else if (rows[id].kind == OPTION_WORD) {
        const char *word = rows[id].words;
        for (; value > 0; value--)
            word += strcspn(word, "|") + 1;
        text_add(to, "%.*s", (int)strcspn(word, "|"), word);
    } else {
        text_add(to, "%ld", value);
    }
}

const struct option *options_row(enum option_id id)
{
    return &rows[id];
}

static bool parse_word(const char *words, const char *value, long *out)
{
    size_t length = strlen(value);
    long position = 0;
    for (const char *at = words;; position++) {
        size_t n = strcspn(at, "|");
        if (n == length && n != 0 && memcmp(at, value, n) == 0) {
            *out = position;
            return true;
        }
        if (at[n] == '\0')
            return false;
        at += n + 1;
    }
}

static bool parse_number(const char *value, bool suffix, long *out)
{
    bool negative = *value == '-';
    const char *at = value + negative;
    if (*at < '0' || *at > '9')
        return false;
    long n = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *at - '0', &n))
            return false;
    if (suffix && *at != '\0') {
        static const char suffixes[] = "kmg";
        const char *found = strchr(suffixes, *at | 0x20);
        if (found == NULL || *found == '\0' ||
            __builtin_mul_overflow(n, 1L << (10 * (found - suffixes + 1)), &n))
            return false;
        at++;
    }
    *out = negative ? -n : n;
    return *at == '\0';
}

bool options_parse(const struct option *option, const char *value, long *out)
{
    switch (option->kind) {
    case OPTION_WORD:
        return parse_word(option->words, value, out);
    case OPTION_NUMBER:
    case OPTION_BYTES:
        return parse_number(value, option->kind == OPTION_BYTES, out) && *out >= option->least &&
               *out <= option->most;
    default:
        return strlen(value) < OPTION_TEXT_MAX;
    }
}

void options_refuse(struct text *to, const struct option *option, const char *value)
{
    switch (option->kind) {
    case OPTION_WORD:
        text_add(to, "%s=%s is not one of %s", option->variable, value, option->words);
        break;
    case OPTION_NUMBER:
    case OPTION_BYTES:
        text_add(to, "%s=%s is not a whole number from %ld to %ld%s", option->variable, value,
                 option->least, option->most,
                 option->kind == OPTION_BYTES ? " (k, m or g may follow)" : "");
        break;
    default:
        text_add(to, "%s is longer than %d characters", option->variable, OPTION_TEXT_MAX - 1);
    }
}

static void complain(const struct option *option, const char *value)
{
    char buffer[NH_LINE_MAX];
    struct text line = {.at = buffer, .room = sizeof buffer};
    options_refuse(&line, option, value);
    if (option->kind == OPTION_TEXT)
        log_line(LOG_ERROR, "%s; ignoring it", buffer);
    else if (option->kind == OPTION_WORD)
        log_line(LOG_ERROR, "%s; using %.*s", buffer, (int)strcspn(option->words, "|"),
                 option->words);
    else
        log_line(LOG_ERROR, "%s; using %ld", buffer, option->dflt);
}

enum option_id options_find(const char *name, size_t length)
{
    size_t i = 0;
    while (i < OPTIONS &&
           (strlen(rows[i].variable) != length || memcmp(rows[i].variable, name, length) != 0))
        i++;
    return (enum option_id)i;
}

static void load_variable(const char *variable, bool verbosity)
{
    size_t length = strcspn(variable, "=");
    const char *value = variable[length] == '=' ? variable + length + 1 : "";
    enum option_id i = options_find(variable, length);
    if ((i == OPT_VERBOSE) != verbosity)
        return;
    if (i == OPTIONS) {
        log_line(LOG_WARNING, "%.*s is not an option of nearheap; ignoring it", (int)length,
                 variable);
        return;
    }
    long parsed = rows[i].dflt;
    if (!options_parse(&rows[i], value, &parsed))
        complain(&rows[i], value);
    else if (rows[i].kind == OPTION_TEXT)
        options_set_text(i, value);
    else
        options_set(i, parsed);
}

/* Before glibc's own constructor, which .preinit_array comes before, `environ` is not
 * set yet; what it will be lies above argc and argv, where the loader found them. */
static char **environment(void)
{
    extern char **environ;
    extern void *__libc_stack_end __attribute__((weak));
    if (environ != NULL || &__libc_stack_end == NULL)
        return environ;
    const long *argc = __libc_stack_end;
    return (char **)(uintptr_t)(argc + 1) + *argc + 1;
}

void options_load(void)
{
    char **variables = environment();
    if (loaded || variables == NULL)
        return;
    loaded = true;
    /* A program with more rights than its caller takes no orders from there. */
    if (getauxval(AT_SECURE) != 0)
        return;
    /* How much is said comes first, wherever it stands. */
    for (int pass = 0; pass < 2; pass++)
        for (char **at = variables; *at != NULL; at++)
            if (strncmp(*at, OPTION_PREFIX, sizeof(OPTION_PREFIX) - 1) == 0)
                load_variable(*at, pass == 0);
}
