/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * watch.c - see watch.h.
 */
#include "watch.h"

#include "cache.h"
#include "fast.h"
#include "options.h"
#include "os.h"

/* A thread that is at work looks after so many. */
#define WATCH_CALLS_MOST 256

/* Ticks without much waiting until nobody looks any more: by then all is back that was
 * free at the first of them. */
#define QUIET_TICKS 16

/* Relaxed: who finds it stale looks once too often or too late. */
static _Atomic unsigned quiet = QUIET_TICKS; /* ticks since much was waiting */

/* By whoever has changed `quiet`.  Another one may change it at any moment, and switch before
 * us: the last of them finds the number that belongs to his switch, for what is exchanged in a
 * switch orders them all (fast.c). */
static void switch_watch(void)
{
    bool on;
    do {
        on = !watch_is_off();
        fast_use_watch(on);
    } while (on == watch_is_off());
}

void watch_begin(void)
{
    if (atomic_load_explicit(&quiet, memory_order_relaxed) == 0 || options_get(OPT_DECAY) < 0)
        return;
    if (atomic_exchange_explicit(&quiet, 0, memory_order_relaxed) >= QUIET_TICKS)
        switch_watch();
}

void watch_stop(void)
{
    if (atomic_exchange_explicit(&quiet, QUIET_TICKS, memory_order_relaxed) < QUIET_TICKS)
        switch_watch();
}

bool watch_is_off(void)
{
    return atomic_load_explicit(&quiet, memory_order_relaxed) >= QUIET_TICKS;
}

uint32_t watch_look(uint32_t calls)
{
    static _Atomic uint64_t looked_ms; /* relaxed, as `quiet` */
    static _Atomic bool more_is_due;   /* then, after what that look gave back; as `quiet` */
    uint64_t now = os_now_ms();
    bool more = atomic_load_explicit(&more_is_due, memory_order_relaxed);
    uint64_t wait = nh_unlikely(more) ? NH_PIECE_MS : heap_tick_ms();
    if (nh_likely(now - atomic_load_explicit(&looked_ms, memory_order_relaxed) < wait))
        return calls < WATCH_CALLS_MOST ? 2 * calls : calls;
    atomic_store_explicit(&looked_ms, now, memory_order_relaxed);
    bool ticked = false;
    more = false;
    for (struct heap *heap = NULL; (heap = heap_after(heap)) != NULL;) {
        ticked |= heap_tick(heap);
        more |= page_heap_more_is_due(&heap->pages);
    }
    atomic_store_explicit(&more_is_due, more, memory_order_relaxed);
    uint32_t next = more ? 1 : WATCH_CALLS_LEAST;
    if (!ticked)
        return next;
    /* Its objects lie scattered over spans that would be free without them; what it takes
     * next comes from few. */
    cache_give_back();
    if (atomic_fetch_add_explicit(&quiet, 1, memory_order_relaxed) + 1 == QUIET_TICKS)
        switch_watch();
    return next;
}
