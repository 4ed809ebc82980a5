/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The text of NEARHEAP_NODE_LIMIT.
 */
#include "unit.h"

#include "limits.h"
#include "node_limit.h"

#include <stdint.h>

static void limits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int node;
        size_t bytes;
    } cases[] = {{"", 0, SIZE_MAX},
                 {"0", 3, 0},
                 {"4096", 0, 4096},
                 {"64k", 7, 64 << 10},
                 {"64M", 0, 64 << 20},
                 {"2g", 1, (size_t)2 << 30},
                 {"0=64m", 0, 64 << 20},
                 {"0=64m", 1, SIZE_MAX},
                 {"0=4g,1=512m", 1, 512 << 20},
                 {"1=1k,12=2k", 2, SIZE_MAX},
                 {"1=1k,12=2k", 12, 2048},
                 {"3=1k,3=2k", 3, 2048}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        size_t bytes = 1;
        if (!node_limit_parse(cases[i].text, cases[i].node, &bytes) || bytes != cases[i].bytes)
            fail_msg("'%s', node %d: %zu, not %zu", cases[i].text, cases[i].node, bytes,
                     cases[i].bytes);
    }
}

static void nonsense(void **state)
{
    (void)state;
    static const char *const cases[] = {"much",
                                        "-1",
                                        "64t",
                                        "64mb",
                                        "=64m",
                                        "0=",
                                        "0=64m,",
                                        "0=64m 1=2m",
                                        "0k=64m",
                                        "0=64m,1",
                                        " 64m",
                                        "99999999999999999999",
                                        "18014398509481984k"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        size_t bytes;
        if (node_limit_parse(cases[i], 0, &bytes))
            fail_msg("'%s' was taken for a limit", cases[i]);
    }
}

static void unsound(void **state)
{
    (void)state;
    static const struct {
        const char *text, *problem;
    } cases[] = {
        {"", ""},
        {"8k", ""},
        {"0=8k,1=4g,12=16m", ""},
        {"-1", "NEARHEAP_NODE_LIMIT=-1 is not " NODE_LIMIT_FORM},
        {"0", "NEARHEAP_NODE_LIMIT=0: a limit of less than 8192 bytes leaves no memory (the empty "
              "value sets none)"},
        {"0=4g,1=8191",
         "NEARHEAP_NODE_LIMIT=0=4g,1=8191: a limit of less than 8192 bytes leaves no memory (the "
         "empty value sets none)"},
        {"0=4m,0=8m", "NEARHEAP_NODE_LIMIT=0=4m,0=8m limits node 0 twice"},
        {"1=4m,3=8m,2=1g,03=1g", "NEARHEAP_NODE_LIMIT=1=4m,3=8m,2=1g,03=1g limits node 3 twice"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char buffer[NH_LINE_MAX] = "";
        struct text problem = {.at = buffer, .room = sizeof(buffer)};
        assert_int_equal(node_limit_is_sound(cases[i].text, &problem), *cases[i].problem == '\0');
        assert_string_equal(buffer, cases[i].problem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(limits), cmocka_unit_test(nonsense),
                                       cmocka_unit_test(unsound)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
