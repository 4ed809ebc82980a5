/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * moves.h - how often pages may be moved from one place to another instead of being copied:
 * each move may leave mappings behind, of which a process may have so many.
 */
#ifndef NH_MOVES_H
#define NH_MOVES_H

#include <stdbool.h>
#include <stddef.h>

/* Between two counts of the process's mappings.  Public for the tests. */
#define MOVES_PERIOD ((size_t)512)

/* Mappings with which nothing moves: half of what Linux allows.  The other half is for a period's
 * moves, each of OS_MAPPINGS_MOVED mappings at most, which stay mappings of their own. */
#define MOVES_MAPPINGS_MOST ((size_t)32768)

/* True when one more may be made, which then counts.  Any thread, with no locks held: at
 * the first and once in a period it reads a file of the kernel's. */
bool moves_take(void);

#endif
