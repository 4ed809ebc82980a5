/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Parsing of options, and the table itself.
 */
#include "unit.h"

#include "options.h"

static const struct option number = {.kind = OPTION_NUMBER, .least = -1, .most = 1000};
static const struct option bytes = {.kind = OPTION_BYTES, .least = 0, .most = 1L << 40};
static const struct option word = {.kind = OPTION_WORD, .words = "one|two|three"};

static void good(const struct option *option, const char *value, long expected)
{
    long got = -77;
    if (!options_parse(option, value, &got) || got != expected)
        fail_msg("'%s' is %ld, not %ld", value, got, expected);
}

static void bad(const struct option *option, const char *value)
{
    long got;
    if (options_parse(option, value, &got))
        fail_msg("'%s' was taken for %ld", value, got);
}

static void values(void **state)
{
    (void)state;
    good(&number, "0", 0);
    good(&number, "-1", -1);
    good(&number, "1000", 1000);
    good(&number, "007", 7);
    const char *no_numbers[] = {"",   "-",   "-2",  "1001",  "1k",  " 1",
                                "1 ", "0x1", "1.5", "seven", "--1", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(no_numbers) / sizeof(*no_numbers); i++)
        bad(&number, no_numbers[i]);
    good(&bytes, "0", 0);
    good(&bytes, "3k", 3 << 10);
    good(&bytes, "3K", 3 << 10);
    good(&bytes, "2m", 2 << 20);
    good(&bytes, "5G", 5L << 30);
    const char *no_bytes[] = {"k", "1kk", "1t", "-1", "2000g", "1 k", "9999999999999999g", "1k "};
    for (size_t i = 0; i < sizeof(no_bytes) / sizeof(*no_bytes); i++)
        bad(&bytes, no_bytes[i]);
    good(&word, "one", 0);
    good(&word, "three", 2);
    const char *no_words[] = {"", "four", "on", "onetwo", "one|two", "One"};
    for (size_t i = 0; i < sizeof(no_words) / sizeof(*no_words); i++)
        bad(&word, no_words[i]);
}

static void the_table(void **state)
{
    (void)state;
    for (unsigned i = 0; i < OPTIONS; i++) {
        const struct option *row = options_row((enum option_id)i);
        assert_int_equal(strncmp(row->variable, "NEARHEAP_", 9), 0);
        assert_true(strlen(row->meaning) > 10);
        if (row->kind == OPTION_NUMBER || row->kind == OPTION_BYTES)
            assert_true(row->least <= row->dflt && row->dflt <= row->most);
        if (row->kind != OPTION_TEXT)
            assert_int_equal(options_get((enum option_id)i), row->dflt);
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(row->variable, options_row((enum option_id)k)->variable);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
