/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * heap_walk.c - see heap_walk.h.
 */
#include "heap_walk.h"

#include "span_table.h"

#include <sched.h>

/* Times a span is looked at while it changes: its owner is about to be done, unless
 * the kernel has put it to sleep. */
#define LOOKS 20

/* What is at rest at `at`, or after a while what is not seen. */
static bool look(uintptr_t at, struct span_view *out)
{
    enum span_found found;
    for (unsigned i = 0; i < LOOKS && (found = span_table_find(at, out)) == SPAN_UNKNOWN; i++)
        (void)sched_yield();
    return found == SPAN_FOUND;
}

bool heap_walk(uintptr_t *from, struct span_view *out)
{
    while (span_table_next(from) != NULL) {
        /* Not one whose beginning lies behind: it has been seen, or is new. */
        if (look(*from, out) && out->base >= *from) {
            *from = span_view_end(out);
            return true;
        }
        *from += NH_PAGE; /* a stale entry */
    }
    return false;
}
