/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * moves.c - see moves.h.
 */
#include "moves.h"

#include "os.h"

#include <stdatomic.h>

NH_STATIC(OS_MAPPINGS_MOVED <= MOVES_MAPPINGS_MOST / MOVES_PERIOD,
          "a period's moves fit into the other half of the mappings");

static _Atomic size_t asked;  /* relaxed: a count */
static _Atomic bool too_many; /* relaxed: what the last count said; it orders nothing */

bool moves_take(void)
{
    size_t before = atomic_fetch_add_explicit(&asked, 1, memory_order_relaxed);
    if (before % MOVES_PERIOD == 0)
        atomic_store_explicit(&too_many, os_mappings(MOVES_MAPPINGS_MOST) > MOVES_MAPPINGS_MOST,
                              memory_order_relaxed);
    return !atomic_load_explicit(&too_many, memory_order_relaxed);
}
