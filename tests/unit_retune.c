/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit_retune.c - options that change while the process runs: which may, what is refused, and
 * that threads go on allocating while all of them change, over and over.
 */
#include "nearheap.h"
#include "numa/topology.h"
#include "profile.h"
#include "retune.h"
#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define THREADS 3
#define ROUNDS  60
#define OBJECTS 300

static bool set(enum option_id id, const char *value, const char *expected_problem)
{
    char buffer[512] = "";
    struct text problem = {.at = buffer, .room = sizeof buffer};
    bool done = retune(id, value, &problem);
    assert_string_equal(buffer, expected_problem);
    return done;
}

static void accepts(enum option_id id, const char *value)
{
    assert_true(set(id, value, ""));
}

static void what_may_not_change_is_refused(void **state)
{
    (void)state;
    for (int id = 0; id < OPTIONS; id++) {
        const struct option *row = options_row((enum option_id)id);
        if (row->when == OPTION_LIVE)
            continue;
        char expected[256];
        struct text text = {.at = expected, .room = sizeof expected};
        text_add(&text, "%s is read at the process's start alone", row->variable);
        assert_false(set((enum option_id)id, "1", expected));
    }
}

static void wrong_values_change_nothing(void **state)
{
    (void)state;
    long before = options_get(OPT_DECAY);
    assert_false(
        set(OPT_DECAY, "soon", "NEARHEAP_DECAY=soon is not a whole number from -1 to 86400000"));
    assert_int_equal(options_get(OPT_DECAY), before);
    assert_false(set(OPT_HUGE, "", "NEARHEAP_HUGE= is not one of default|always|never"));
    assert_false(set(OPT_NODE_LIMIT, "0:1m",
                     "NEARHEAP_NODE_LIMIT=0:1m is not a size (k, m or g may follow) or a list of "
                     "NODE=SIZE"));
    assert_false(set(OPT_NODE_LIMIT, "0",
                     "NEARHEAP_NODE_LIMIT=0: a limit of less than 8192 bytes leaves no memory (the "
                     "empty value sets none)"));
    assert_false(set(OPT_NODE_LIMIT, "900=1g",
                     "NEARHEAP_NODE_LIMIT=900=1g: there is no node 900 with memory"));
    assert_string_equal(options_text(OPT_NODE_LIMIT), "");
}

static void values_are_told_as_they_are_set(void **state)
{
    (void)state;
    static const struct {
        enum option_id id;
        const char *set, *told;
    } cases[] = {
        {OPT_DECAY, "-1", "-1"},
        {OPT_DECAY, "10000", "10000"},
        {OPT_CACHE, "1m", "1048576"},
        {OPT_CACHE, "512k", "524288"},
        {OPT_BAD_FREE, "report", "report"},
        {OPT_BAD_FREE, "abort", "abort"},
        {OPT_NODE_LIMIT, "4g", "4g"},
        {OPT_NODE_LIMIT, "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char told[64] = "";
        struct text text = {.at = told, .room = sizeof told};
        accepts(cases[i].id, cases[i].set);
        options_print(&text, cases[i].id);
        assert_string_equal(told, cases[i].told);
    }
}

static _Atomic bool stop;

static void *churn(void *arg)
{
    uint64_t random = 1 + *(const uint64_t *)arg;
    unsigned char *objects[OBJECTS] = {NULL};
    size_t wrong = 0;
    while (!atomic_load(&stop)) {
        size_t i = random_below(&random, OBJECTS);
        if (objects[i] != NULL)
            wrong += objects[i][0] != (unsigned char)i;
        nh_free(objects[i]);
        objects[i] = nh_malloc(1 + random_below(&random, i % 50 == 0 ? 3000000 : 5000));
        if (objects[i] != NULL)
            objects[i][0] = (unsigned char)i;
    }
    for (size_t i = 0; i < OBJECTS; i++)
        nh_free(objects[i]);
    return (void *)wrong;
}

static void all_change_while_others_allocate(void **state)
{
    (void)state;
    /* Of nodes that there are, of which the last may be the first. */
    const struct topology *topology = topology_now();
    char by_node[64];
    snprintf(by_node, sizeof by_node, topology->slots > 1 ? "%d=16m,%d=1g" : "%d=16m",
             topology->os_node[topology->slots - 1], topology->os_node[0]);
    const struct {
        enum option_id id;
        const char *value;
    } changes[] = {
        {OPT_CACHE, "0"},           {OPT_DECAY, "0"},         {OPT_NODE_LIMIT, "64m"},
        {OPT_INTERLEAVE, "1m"},     {OPT_HUGE, "never"},      {OPT_PROFILE_RATE, "64k"},
        {OPT_CACHE, "16m"},         {OPT_DECAY, "-1"},        {OPT_NODE_LIMIT, by_node},
        {OPT_INTERLEAVE, "0"},      {OPT_HUGE, "always"},     {OPT_DECAY, "20"},
        {OPT_GUARD, "16k"},         {OPT_BAD_FREE, "report"}, {OPT_NODE_LIMIT, ""},
        {OPT_PROFILE_RATE, "512k"}, {OPT_BAD_FREE, "abort"},  {OPT_GUARD, "0"},
        {OPT_CACHE, "64k"},
    };
    pthread_t threads[THREADS];
    uint64_t seeds[THREADS];
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_true(null >= 0);
    (void)nh_profile_start(0);
    for (size_t i = 0; i < THREADS; i++) {
        seeds[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, churn, &seeds[i]), 0);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
            accepts(changes[i].id, changes[i].value);
        if (round % 10 == 0)
            assert_int_equal(nh_dump(null), 0);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < THREADS; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    nh_profile_stop();
    close(null);
}

/* Whether an object has guard pages: then it has the size that was asked for, which no class has.
 */
static bool guarded(void)
{
    enum { SIZE = 100 };
    void *object = nh_malloc(SIZE);
    assert_non_null(object);
    bool exactly = nh_malloc_usable_size(object) == SIZE;
    nh_free(object);
    return exactly;
}

/* Whether stacks can be walked, without which there are no guard pages. */
static bool no_walks;

bool __real_profile_frames_prepare(void);
bool __wrap_profile_frames_prepare(void);
bool __wrap_profile_frames_prepare(void)
{
    return !no_walks && __real_profile_frames_prepare();
}

static void guard_pages_that_cannot_be_are_refused(void **state)
{
    (void)state;
    no_walks = true;
    assert_false(set(OPT_GUARD, "1",
                     "NEARHEAP_GUARD=1: there can be no guard pages in this process, whose "
                     "standard error tells why"));
    assert_int_equal(options_get(OPT_GUARD), 0);
    assert_false(guarded());
    accepts(OPT_GUARD, "0");
    no_walks = false;
}

static void guard_pages_begin_and_end(void **state)
{
    (void)state;
    assert_false(guarded());
    accepts(OPT_GUARD, "1");
    for (unsigned i = 0; i < OBJECTS; i++)
        assert_true(guarded());
    accepts(OPT_GUARD, "0");
    for (unsigned i = 0; i < OBJECTS; i++)
        assert_false(guarded());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_not_change_is_refused),
        cmocka_unit_test(wrong_values_change_nothing),
        cmocka_unit_test(values_are_told_as_they_are_set),
        cmocka_unit_test(guard_pages_that_cannot_be_are_refused),
        cmocka_unit_test(guard_pages_begin_and_end),
        cmocka_unit_test(all_change_while_others_allocate),
    };
    (void)nh_node_count(); /* the options are read */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
