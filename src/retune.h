/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * retune.h - options that change while the process runs: those that options.def calls LIVE.
 *
 * Their numbers are relaxed atomics, so whoever reads one has the old or the new value, and
 * each use is right with either.  What was derived from an option is derived again here.
 * By one thread, the attendant, with no lock held.
 */
#ifndef NH_RETUNE_H
#define NH_RETUNE_H

#include "log.h"
#include "options.h"

/* False, and why in *problem, when the option is not LIVE, may not have the value, or cannot have
 * its effect. */
bool retune(enum option_id id, const char *value, struct text *problem);

#endif
