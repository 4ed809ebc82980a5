/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * live.h - options that an input changes while the process runs (src/retune.h), so that the
 * next one begins with those of the process's start.  By any thread.
 */
#ifndef NH_TEST_LIVE_H
#define NH_TEST_LIVE_H

#include "options.h"

/* A value that may be refused; whether it was taken. */
bool live_try(enum option_id id, const char *value);
/* A value that has to be right. */
void live_set(enum option_id id, const char *value);

/* All options are again what they were before the first call of these. */
void live_restore(void);

#endif
