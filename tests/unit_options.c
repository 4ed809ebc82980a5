/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit_options.c - the parser of each kind of option, the table itself, and
 * what loading the environment does and says, in children that have one.
 */
#include "limits.h"
#include "options.h"
#include "os.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PREFIX "NEARHEAP_"
/* Longest value of a TEXT option. */
#define TEXT_MOST 511

static void accepts(const struct option *option, const char *value, long expected)
{
    long out = ~expected;
    if (!options_parse(option, value, &out))
        fail_msg("\"%s\" refused", value);
    assert_int_equal(out, expected);
}

static void refuses(const struct option *option, const char *value)
{
    long out;
    if (options_parse(option, value, &out))
        fail_msg("\"%s\" accepted", value);
}

static const char *const junk[] = {
    "",    " ",   "-",   "+",    "+5",    " 5",   "5 ",    "5\n", "--5", "-+5", "0x10", "5.0",
    "5,0", "5e3", "1_0", "five", "5five", "\xff", "5\xff", "-k",  "k",   "5-",  "\xb2", "1 2",
};

static void numbers(void **state)
{
    (void)state;
    const struct option option = {"", OPTION_NUMBER, OPTION_START, 0, -20, 300, "", ""};
    accepts(&option, "0", 0);
    accepts(&option, "-0", 0);
    accepts(&option, "7", 7);
    accepts(&option, "007", 7);
    accepts(&option, "300", 300);
    accepts(&option, "-20", -20);
    refuses(&option, "301");
    refuses(&option, "-21");
    for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++)
        refuses(&option, junk[i]);
    /* Suffixes are for bytes. */
    refuses(&option, "1k");
    refuses(&option, "0m");
    refuses(&option, "1g");
}

static void numbers_at_the_limits_of_long(void **state)
{
    (void)state;
    const struct option option = {"", OPTION_NUMBER, OPTION_START, 0, INT64_MIN, INT64_MAX, "", ""};
    accepts(&option, "9223372036854775807", INT64_MAX);
    accepts(&option, "-9223372036854775807", -INT64_MAX);
    accepts(&option, "00000000000000000000000000000000001", 1);
    refuses(&option, "9223372036854775808");
    refuses(&option, "9223372036854775810");  /* overflows by the sum */
    refuses(&option, "18446744073709551617"); /* 1 modulo 2^64 */
    refuses(&option, "92233720368547758070"); /* overflows by the product */
    refuses(&option, "99999999999999999999999999999999999999999");
    refuses(&option, "-99999999999999999999999999999999999999999");
}

static void bytes(void **state)
{
    (void)state;
    const struct option option = {"", OPTION_BYTES, OPTION_START, 0, 0, 1L << 40, "", ""};
    accepts(&option, "0", 0);
    accepts(&option, "0g", 0);
    accepts(&option, "4096", 4096);
    accepts(&option, "3k", 3L << 10);
    accepts(&option, "3m", 3L << 20);
    accepts(&option, "3g", 3L << 30);
    accepts(&option, "3K", 3L << 10);
    accepts(&option, "3M", 3L << 20);
    accepts(&option, "3G", 3L << 30);
    accepts(&option, "1024g", 1L << 40);
    refuses(&option, "1025g");
    refuses(&option, "1099511627777");
    refuses(&option, "-1");
    refuses(&option, "-1k");
    for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++)
        refuses(&option, junk[i]);
    /* Every byte after a number but the six letters. */
    for (int c = 1; c < 256; c++)
        if (strchr("kmgKMG", c) == NULL && (c < '0' || c > '9'))
            refuses(&option, (const char[]){'1', (char)c, '\0'});
    refuses(&option, "1kb");
    refuses(&option, "1kk");
    refuses(&option, "1k1");
    refuses(&option, "1k ");
}

static void bytes_at_the_limits_of_long(void **state)
{
    (void)state;
    const struct option option = {"", OPTION_BYTES, OPTION_START, 0, INT64_MIN, INT64_MAX, "", ""};
    accepts(&option, "8589934591g", 8589934591L << 30);
    refuses(&option, "8589934592g");  /* 2^63 */
    refuses(&option, "17179869184g"); /* 0 modulo 2^64 */
    accepts(&option, "9007199254740991k", 9007199254740991L << 10);
    refuses(&option, "9007199254740992k");
    accepts(&option, "8796093022207m", 8796093022207L << 20);
    refuses(&option, "8796093022208m");
}

static void words(void **state)
{
    (void)state;
    const struct option option = {"", OPTION_WORD, OPTION_START, 0, 0, 0, "default|always|never|al",
                                  ""};
    accepts(&option, "default", 0);
    accepts(&option, "always", 1);
    accepts(&option, "never", 2);
    accepts(&option, "al", 3);
    static const char *const others[] = {
        "",        "|",       "a",       "alway",          "alwayss",
        "Always",  "always|", "|always", "default|always", "always ",
        " always", "0",       "neve",    "lways",          "defaultalways",
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        refuses(&option, others[i]);
    const struct option one = {"", OPTION_WORD, OPTION_START, 0, 0, 0, "only", ""};
    accepts(&one, "only", 0);
    refuses(&one, "onl");
    refuses(&one, "only|");
    refuses(&one, "");
    const struct option none = {"", OPTION_WORD, OPTION_START, 0, 0, 0, "", ""};
    refuses(&none, "");
}

static void texts(void **state)
{
    (void)state;
    const struct option option = {"", OPTION_TEXT, OPTION_START, 0, 0, 0, "", ""};
    char text[TEXT_MOST + 2];
    long out;
    assert_true(options_parse(&option, "", &out));
    assert_true(options_parse(&option, "anything | at all\n", &out));
    memset(text, 'x', sizeof(text));
    text[TEXT_MOST] = '\0';
    assert_true(options_parse(&option, text, &out));
    text[TEXT_MOST] = 'x';
    text[TEXT_MOST + 1] = '\0';
    assert_false(options_parse(&option, text, &out));
}

static size_t words_in(const char *list)
{
    size_t count = 1;
    for (; *list != '\0'; list++)
        count += *list == '|';
    return count;
}

static void table_is_sound(void **state)
{
    (void)state;
    for (int i = 0; i < OPTIONS; i++) {
        const struct option *row = options_row((enum option_id)i);
        assert_memory_equal(row->variable, PREFIX, strlen(PREFIX));
        const char *rest = row->variable + strlen(PREFIX);
        assert_true(*rest != '\0');
        assert_int_equal(strspn(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"), strlen(rest));
        assert_true(strlen(row->meaning) > 10);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(row->variable, options_row((enum option_id)k)->variable);

        char text[32];
        switch (row->kind) {
        case OPTION_NUMBER:
        case OPTION_BYTES:
            assert_true(row->least < row->most);
            assert_true(row->dflt >= row->least && row->dflt <= row->most);
            assert_string_equal(row->words, "");
            (void)snprintf(text, sizeof(text), "%ld", row->dflt);
            accepts(row, text, row->dflt);
            break;
        case OPTION_WORD:
            assert_true(row->dflt >= 0 && row->dflt < (long)words_in(row->words));
            assert_true(words_in(row->words) > 1);
            break;
        case OPTION_TEXT:
            assert_string_equal(row->words, "");
            assert_string_equal(options_text((enum option_id)i), "");
            break;
        default:
            fail();
        }
        /* Before loading. */
        assert_int_equal(options_get((enum option_id)i), row->dflt);
    }
    /* The engine casts these to its enums. */
    assert_string_equal(options_row(OPT_BAD_FREE)->words, "abort|report|ignore");
    assert_int_equal(BAD_FREE_ABORT, 0);
    assert_int_equal(BAD_FREE_REPORT, 1);
    assert_int_equal(BAD_FREE_IGNORE, 2);
    assert_string_equal(options_row(OPT_HUGE)->words, "default|always|never");
    assert_int_equal(OS_HUGE_DEFAULT, 0);
    assert_int_equal(OS_HUGE_ALWAYS, 1);
    assert_int_equal(OS_HUGE_NEVER, 2);
}

extern char **environ;

/* Runs `look` in a child with this environment, after options_load; it says
 * whether all is as it should be.  What was printed goes to `said`. */
static bool loaded_well(char **environment, bool (*look)(void), char said[4096])
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        environ = environment;
        options_load();
        _exit(look() ? 0 : 1);
    }
    assert_true(child > 0);
    close(ends[1]);
    size_t length = 0;
    ssize_t n;
    while ((n = read(ends[0], said + length, 4095 - length)) > 0)
        length += (size_t)n;
    said[length] = '\0';
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool all_defaults(void)
{
    for (int i = 0; i < OPTIONS; i++)
        if (options_get((enum option_id)i) != options_row((enum option_id)i)->dflt ||
            *options_text((enum option_id)i) != '\0')
            return false;
    return true;
}

static bool good_values(void)
{
    /* Texts were copied, and a second loading does nothing. */
    static char changed[] = "NEARHEAP_STATS=elsewhere", huge[] = "NEARHEAP_HUGE=always";
    memset(strstr(environ[3], "=/") + 1, '#', 4);
    char *other[] = {changed, huge, NULL};
    environ = other;
    options_load();
    return options_get(OPT_VERBOSE) == 2 && options_get(OPT_DECAY) == -1 &&
           options_get(OPT_CACHE) == 3L << 20 && options_get(OPT_HUGE) == OS_HUGE_NEVER &&
           strcmp(options_text(OPT_STATS), "/tmp/%p=x") == 0 &&
           strcmp(options_text(OPT_TOPOLOGY), "") == 0 && options_get(OPT_BAD_FREE) == 0;
}

static void environment_is_read_once(void **state)
{
    (void)state;
    char said[4096];
    static char verbose[] = "NEARHEAP_VERBOSE=2", decay[] = "NEARHEAP_DECAY=-1",
                cache[] = "NEARHEAP_CACHE=3m", stats[] = "NEARHEAP_STATS=/tmp/%p=x",
                huge[] = "NEARHEAP_HUGE=never", foreign[] = "PATH=/bin", near[] = "NEARHEA=1",
                nameless[] = "=", empty[] = "";
    char *good[] = {verbose, decay, cache, stats, huge, foreign, near, nameless, empty, NULL};
    assert_true(loaded_well(good, good_values, said));
    assert_string_equal(said, "");
    char *none[] = {NULL};
    assert_true(loaded_well(none, all_defaults, said));
    assert_string_equal(said, "");
    assert_true(loaded_well(NULL, all_defaults, said)); /* environ not set yet */
    assert_string_equal(said, "");
}

static void wrong_values_are_named(void **state)
{
    (void)state;
    static char long_text[TEXT_MOST + 20] = "NEARHEAP_STATS=";
    memset(long_text + strlen(long_text), 'x', TEXT_MOST + 1);
    static const struct {
        const char *variable, *says;
    } wrong[] = {
        {"NEARHEAP_VERBOSE=4",
         "nearheap: NEARHEAP_VERBOSE=4 is not a whole number from 0 to 3; using 1\n"},
        {"NEARHEAP_DECAY=",
         "nearheap: NEARHEAP_DECAY= is not a whole number from -1 to 86400000; using 10000\n"},
        {"NEARHEAP_CACHE=17m", "nearheap: NEARHEAP_CACHE=17m is not a whole number from 0 to "
                               "16777216 (k, m or g may follow); using 524288\n"},
        {"NEARHEAP_HUGE=Never",
         "nearheap: NEARHEAP_HUGE=Never is not one of default|always|never; using default\n"},
        {long_text, "nearheap: NEARHEAP_STATS is longer than 511 characters; ignoring it\n"},
        {"NEARHEAP_HUG=1", "nearheap: NEARHEAP_HUG is not an option of nearheap; ignoring it\n"},
        {"NEARHEAP_HUGEE=1",
         "nearheap: NEARHEAP_HUGEE is not an option of nearheap; ignoring it\n"},
        {"NEARHEAP_", "nearheap: NEARHEAP_ is not an option of nearheap; ignoring it\n"},
        {"NEARHEAP_VERBOSE",
         "nearheap: NEARHEAP_VERBOSE= is not a whole number from 0 to 3; using 1\n"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char said[4096];
        char *environment[] = {(char *)(uintptr_t)wrong[i].variable, NULL};
        assert_true(loaded_well(environment, all_defaults, said));
        assert_string_equal(said, wrong[i].says);
    }
}

static bool is_quiet(void)
{
    return options_get(OPT_VERBOSE) == 0;
}

/* VERBOSE=0 prints errors only, wherever in the environment it stands. */
static void quiet_whatever_the_order(void **state)
{
    (void)state;
    char said[4096];
    static char verbose[] = "NEARHEAP_VERBOSE=0", unknown[] = "NEARHEAP_FOO=1",
                wrong[] = "NEARHEAP_HUGE=1";
    char *first[] = {verbose, unknown, wrong, NULL};
    assert_true(loaded_well(first, is_quiet, said));
    assert_string_equal(said, "nearheap: NEARHEAP_HUGE=1 is not one of default|always|never; "
                              "using default\n");
    char *last[] = {unknown, wrong, verbose, NULL};
    assert_true(loaded_well(last, is_quiet, said));
    assert_string_equal(said, "nearheap: NEARHEAP_HUGE=1 is not one of default|always|never; "
                              "using default\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(numbers_at_the_limits_of_long),
        cmocka_unit_test(bytes),
        cmocka_unit_test(bytes_at_the_limits_of_long),
        cmocka_unit_test(words),
        cmocka_unit_test(texts),
        cmocka_unit_test(table_is_sound),
        cmocka_unit_test(environment_is_read_once),
        cmocka_unit_test(wrong_values_are_named),
        cmocka_unit_test(quiet_whatever_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
