/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * watch.h - time passes for a program that no longer takes a slow path.
 *
 * What lies unused goes back when its time has come, and whoever refills a cache sees
 * to that (heap_tick).  A program that has become quiet may allocate for hours from
 * what its caches have; so while a heap has much that waits for its time, another
 * malloc is in use (fast.h), which counts its calls and comes here now and then.
 *
 * A small server has little that waits, of which it frees and takes again much while it is
 * at work, and its malloc shall not count then; so that little is watched only while spans
 * are freed seldom (page_heap_free).
 */
#ifndef NH_WATCH_H
#define NH_WATCH_H

#include "base.h"
#include "limits.h"

/* The first calls of malloc by a thread between two of its looks at the clock; while nothing is
 * due, twice as many each time, for a look costs some dozens of instructions. */
#define WATCH_CALLS_LEAST 8

/* Much waits for its time: somebody shall look.  Cheap.  By any thread, with any locks. */
void watch_begin(void);
/* The same if `pages` free pages, or pages' worth of objects, are much. */
NH_INLINE void watch_for(size_t pages)
{
    if (pages >= NH_WATCH_PAGES)
        watch_begin();
}

/* Nothing goes back by itself any more: nobody looks. */
void watch_stop(void);

/* Whether nobody looks now. */
bool watch_is_off(void);

/* By the malloc that counts: what is due in all heaps.  The thread's calls before its next
 * look, which came after `calls`. */
uint32_t watch_look(uint32_t calls);

#endif
