/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * watch.c alone: when somebody looks, and that this is so however two who begin and end it
 * fall together.
 */
#include "watch.h"

#include "cache.h"
#include "fast.h"
#include "heap.h"
#include "nearheap.h"
#include "unit.h"

/* What the other thread does while the first one is about to switch. */
static void (*meanwhile)(void);
static bool watched;

void __wrap_fast_use_watch(bool on);
void __wrap_fast_use_watch(bool on)
{
    void (*other)(void) = meanwhile;
    meanwhile = NULL;
    if (other != NULL)
        other();
    watched = on;
}

uint64_t __wrap_heap_tick_ms(void);
uint64_t __wrap_heap_tick_ms(void)
{
    return 0; /* always due */
}

bool __wrap_heap_tick(struct heap *heap);
bool __wrap_heap_tick(struct heap *heap)
{
    (void)heap;
    return true;
}

void __wrap_cache_give_back(void);
void __wrap_cache_give_back(void)
{
}

static void look_until_quiet(void)
{
    for (unsigned i = 0; i < 1000 && !watch_is_off(); i++)
        (void)watch_look(WATCH_CALLS_LEAST);
}

static void it_ends_when_it_is_quiet(void **state)
{
    (void)state;
    watch_begin();
    assert_true(watched && !watch_is_off());
    look_until_quiet();
    assert_true(!watched && watch_is_off());
    watch_begin();
    assert_true(watched);
    watch_stop();
    assert_true(!watched && watch_is_off());
}

static void who_begins_while_it_ends_is_not_lost(void **state)
{
    (void)state;
    watch_begin();
    meanwhile = watch_begin;
    while (meanwhile != NULL)
        (void)watch_look(WATCH_CALLS_LEAST);
    assert_true(watched && !watch_is_off());
    look_until_quiet();
    assert_false(watched);
}

static void who_stops_while_it_begins_is_not_lost(void **state)
{
    (void)state;
    meanwhile = watch_stop;
    watch_begin();
    assert_true(!watched && watch_is_off());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_ends_when_it_is_quiet),
        cmocka_unit_test(who_begins_while_it_ends_is_not_lost),
        cmocka_unit_test(who_stops_while_it_begins_is_not_lost),
    };
    (void)nh_node_count(); /* there is a heap, and options are read */
    nh_free(nh_malloc(1));
    watch_stop();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
