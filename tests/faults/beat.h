/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * beat.h - the time of the engine's own thread (src/attendant.h), which goes on when the
 * program says so: what it waits for comes at once, and nobody sleeps.
 *
 * The engine's calls of pthread_create and poll come here.  A poll ends when a descriptor is
 * ready, or by beat() as if its time were over; clocks are ahead by that much from then on.
 */
#ifndef NH_TEST_BEAT_H
#define NH_TEST_BEAT_H

#include <stdbool.h>
#include <stdint.h>

/* The attendant does what it has to by its descriptors, then what is due at the next time it
 * waits for, and waits again when this returns.  False when there is none, or it has ended. */
bool beat(void);
/* When this returns, it waits, and has done what it had to. */
bool beat_settle(void);

/* Milliseconds that clocks are ahead. */
uint64_t beat_ahead_ms(void);
/* Whether the calling thread is the attendant. */
bool beat_is_attendant(void);
/* The descriptor that this needs itself; negative: none yet. */
int beat_descriptor(void);

#endif
