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

static uint64_t tick_ms; /* 0: always due */
static uint64_t clock_ms = 1000000;
static unsigned ticks;

uint64_t __wrap_heap_tick_ms(void);
uint64_t __wrap_heap_tick_ms(void)
{
    return tick_ms;
}

uint64_t __wrap_os_now_ms(void);
uint64_t __wrap_os_now_ms(void)
{
    return clock_ms;
}

bool __real_heap_tick(struct heap *heap);
bool __wrap_heap_tick(struct heap *heap);
bool __wrap_heap_tick(struct heap *heap)
{
    (void)heap;
    ticks++;
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

/* Who refills a cache or takes large memory gives back a piece, too, though it is no tick's time.
 */
static void between_ticks_pieces_go(void **state)
{
    (void)state;
    struct heap *heap = heap_after(NULL);
    clock_ms += NH_PIECE_MS;
    heap->ticked_ms = clock_ms;
    heap->pages.swept_ms = clock_ms - NH_PIECE_MS;
    heap->pages.more_is_due = true; /* as far as is known */
    assert_false(__real_heap_tick(heap));
    assert_false(heap->pages.more_is_due);
}

/* One look, `ms` after the one before, by a thread with so many calls between two. */
static uint32_t look_after(uint64_t ms, uint32_t calls)
{
    clock_ms += ms;
    ticks = 0;
    return watch_look(calls);
}

/* What is due goes in pieces: the next one's time is near, and each call counts. */
static void it_looks_again_soon_while_more_is_due(void **state)
{
    (void)state;
    struct page_heap *pages = &heap_after(NULL)->pages;
    tick_ms = 100 * NH_PIECE_MS;
    watch_begin();
    assert_int_equal(look_after(tick_ms, 64), WATCH_CALLS_LEAST);
    assert_true(ticks > 0);
    assert_int_equal(look_after(NH_PIECE_MS, 64), 128);
    assert_int_equal(ticks, 0);

    pages->more_is_due = true;
    assert_int_equal(look_after(tick_ms, 64), 1);
    assert_true(ticks > 0);
    assert_int_equal(look_after(NH_PIECE_MS - 1, 1), 2);
    assert_int_equal(ticks, 0);
    assert_int_equal(look_after(1, 2), 1);
    assert_true(ticks > 0);

    pages->more_is_due = false;
    assert_int_equal(look_after(NH_PIECE_MS, 1), WATCH_CALLS_LEAST);
    assert_int_equal(look_after(NH_PIECE_MS, 8), 16);
    assert_int_equal(ticks, 0);
    watch_stop();
    tick_ms = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_ends_when_it_is_quiet),
        cmocka_unit_test(who_begins_while_it_ends_is_not_lost),
        cmocka_unit_test(who_stops_while_it_begins_is_not_lost),
        cmocka_unit_test(it_looks_again_soon_while_more_is_due),
        cmocka_unit_test(between_ticks_pieces_go),
    };
    (void)nh_node_count(); /* there is a heap, and options are read */
    nh_free(nh_malloc(1));
    watch_stop();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
