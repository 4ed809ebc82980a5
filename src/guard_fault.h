/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * guard_fault.h - what happens when a guard page is touched: SIGSEGV, to which this adds a
 * report.
 *
 * The handler is between the kernel and whoever handled SIGSEGV before: it says what it knows,
 * if the address lies in a slot, and then does what would have been done without it, so that a
 * process ends by the same signal at the same instruction, with the same core, or its own handler
 * runs as if it had been called by the kernel.  Who takes SIGSEGV later, and does not call
 * whom it found there, gets all faults, and there are no reports.
 */
#ifndef NH_GUARD_FAULT_H
#define NH_GUARD_FAULT_H

#include "base.h"

/* Handles SIGSEGV from the first call on; false, with a line, where that cannot be. */
bool guard_fault_begin(void);

#endif
