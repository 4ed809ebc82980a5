/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The parts of the topology that need no machine: lists, descriptions, order.
 */
#include "unit.h"

#include "numa/topology.h"

#include <sys/auxv.h>

/* Whether the process has more rights than who started it. */
static bool secure;

unsigned long __real_getauxval(unsigned long type);
unsigned long __wrap_getauxval(unsigned long type);
unsigned long __wrap_getauxval(unsigned long type)
{
    return type == AT_SECURE ? secure : __real_getauxval(type);
}

static void lists(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int count, first, last;
    } good[] = {{"0", 1, 0, 0},           {"0-3\n", 4, 0, 3}, {"0-3,8", 5, 0, 8},
                {"5,7-9,63\n", 5, 5, 63}, {"0,2,4", 3, 0, 4}, {"1000-2000", 24, 1000, 1023}};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        int numbers[64];
        assert_int_equal(topology_parse_list(good[i].text, 1024, numbers, 64), good[i].count);
        assert_int_equal(numbers[0], good[i].first);
        assert_int_equal(numbers[good[i].count - 1], good[i].last);
    }
    static const char *const bad[] = {"",     "\n",  "-",   "a",  "0-",   "3-1",
                                      "1,,2", "2,1", "0 1", ",1", "1-2-3"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        int numbers[4];
        if (topology_parse_list(bad[i], 1024, numbers, 4) != -1)
            fail_msg("'%s' was taken for a list", bad[i]);
    }
    int few[2];
    assert_int_equal(topology_parse_list("0-9", 1024, few, 2), 10);
    assert_int_equal(few[1], 1);
    assert_int_equal(topology_parse_list("99999999999999999999", 1024, few, 2), 0);
}

static void descriptions(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned nodes;
    } cases[] = {
        {"numa:4 core:2 pu:1", 4},
        {"NUMANode:2 pu:8", 2},
        {"pack:2 numa:2 core:4 pu:2", 4},
        {"pack:2 [numa] core:2 pu:2", 2},
        {"pack:2 [NUMA(memory=1GB)] pu:2", 2},
        {"numa:64 core:1 pu:1", 64},
        {"numa:2(memory=1GB indexes=0,1) pu:2", 2},
        {"numa:65 pu:1", 0},
        {"core:2 pu:1", 0},
        {"numa:0 pu:1", 0},
        {"numa:99999999999999999999 pu:1", 0},
        {"numa:2(indexes=0,4095) pu:2", 2},
        {"numa:2(indexes=0,4096) pu:2", 0}, /* hwloc takes memory by the largest */
        {"pu:2 [numa(indexes=55555555555555555555)] pu:1", 0},
        {"numa:2 core:64 pu:32", 2},
        {"numa:2 core:64 pu:33", 0}, /* hwloc takes minutes for a few times as many */
        {"numa", 0},
        {"[numa]30000 pu:1", 0}, /* for hwloc that many, of no type */
        {"[numa]1111111111pu:2", 0},
        {"[numa] pu[:2", 0},
        {"", 0},
        {"moon", 0},
        {"numa:x", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        if (topology_synthetic_nodes(cases[i].text) != cases[i].nodes)
            fail_msg("'%s': %u nodes", cases[i].text, topology_synthetic_nodes(cases[i].text));
}

static void order_by_distance(void **state)
{
    (void)state;
    static struct topology t;
    static const uint16_t distances[4][4] = {
        {10, 31, 21, 21}, {31, 10, 21, 21}, {21, 21, 10, 31}, {21, 21, 31, 10}};
    static const uint8_t expected[4][4] = {{0, 2, 3, 1}, {1, 2, 3, 0}, {2, 0, 1, 3}, {3, 0, 1, 2}};
    t.slots = 4;
    for (size_t i = 0; i < 4; i++)
        memcpy(t.distance[i], distances[i], sizeof(distances[i]));
    topology_sort_nearest(&t);
    for (size_t i = 0; i < 4; i++)
        assert_memory_equal(t.nearest[i], expected[i], 4);

    t.slots = NH_NODES_MAX;
    for (size_t i = 0; i < NH_NODES_MAX; i++)
        for (size_t j = 0; j < NH_NODES_MAX; j++)
            t.distance[i][j] = i == j ? 10 : 20;
    topology_sort_nearest(&t);
    for (size_t i = 0; i < NH_NODES_MAX; i++)
        for (size_t j = 0; j < NH_NODES_MAX; j++) /* equally far: going around */
            assert_int_equal(t.nearest[i][j], (i + j) % NH_NODES_MAX);
}

static void hwloc_and_boot_agree(void **state)
{
    (void)state;
    const char *spec = "synthetic:numa:4 core:2 pu:1";
    topology_boot(spec);
    assert_int_equal(topology_now()->slots, 4);
    assert_int_equal(topology_now()->pus, 0);
    if (!topology_discover(spec))
        skip(); /* no hwloc here */
    const struct topology *t = topology_now();
    assert_true(t->discovered && t->synthetic);
    assert_int_equal(t->slots, 4);
    assert_int_equal(t->pus, 8);
    for (unsigned pu = 0; pu < 8; pu++)
        assert_int_equal(t->slot_of_pu[pu], pu / 2);
    assert_true(topology_discover(spec)); /* once is enough */
    assert_ptr_equal(topology_now(), t);
}

/* It obeys variables that name plugins to load. */
static void hwloc_is_not_asked_with_more_rights(void **state)
{
    (void)state;
    static struct topology t = {.slots = 4, .synthetic = true};
    secure = true;
    assert_false(topology_ask_hwloc("numa:4 core:2 pu:1", &t));
    secure = false;
    if (!topology_ask_hwloc("numa:4 core:2 pu:1", &t))
        skip(); /* no hwloc here */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),
        cmocka_unit_test(descriptions),
        cmocka_unit_test(order_by_distance),
        cmocka_unit_test(hwloc_and_boot_agree),
        cmocka_unit_test(hwloc_is_not_asked_with_more_rights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
