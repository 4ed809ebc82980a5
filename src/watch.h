/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * watch.h - time passes for a program that no longer takes a slow path.
 *
 * What lies unused goes back when its time has come, and whoever refills a cache sees
 * to that (heap_tick).  A program that has become quiet may allocate for hours from
 * what its caches have; so while a heap has much that waits for its time, another
 * malloc is in use (fast.h), which counts its calls and comes here now and then.
 */
#ifndef NH_WATCH_H
#define NH_WATCH_H

#include <stdbool.h>
#include <stddef.h>

/* Calls of malloc by a thread between two of its looks at the clock, which cost some dozens of
 * instructions. */
#define WATCH_CALLS 256

/* `pages` free pages, or pages' worth of objects, wait for their time: if they are
 * many, somebody shall look.  Cheap.  By any thread, with any locks. */
void watch_for(size_t pages);

/* Nothing goes back by itself any more: nobody looks. */
void watch_stop(void);

/* Whether nobody looks now. */
bool watch_is_off(void);

/* By the malloc that counts: what is due in all heaps. */
void watch_look(void);

#endif
