/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * whole.h - calls on the whole heap: what gives memory back, looks, reports, and changes
 * options while the process runs.  By any thread of an input, side by side with others.
 */
#ifndef NH_TEST_WHOLE_H
#define NH_TEST_WHOLE_H

#include "call.h"

/* Whether the call is one of these. */
static inline bool whole_is(const struct call *call)
{
    return call->what >= 0xf0 || (call->what & 0x8f) == 0x8f;
}

/* Makes the call; *thread_node becomes the node that the thread is told to use. */
void whole_call(const struct call *call, int *thread_node);

/* Options are again what they were at the process's start, and nothing is sampled; when no
 * other thread makes calls. */
void whole_restore(void);

#endif
