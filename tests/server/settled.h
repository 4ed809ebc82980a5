/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * settled.h - nearheap's counters when nothing is on its way any more.
 */
#ifndef NH_TEST_SETTLED_H
#define NH_TEST_SETTLED_H

#include "check.h"
#include "nearheap.h"

static inline struct nh_stats settled_stats(void)
{
    struct nh_stats now = {.struct_size = sizeof(now)};
    (void)nh_scavenge(-1); /* also brings home what waits in outboxes */
    CHECK(nh_stats_read(&now) == 0);
    return now;
}

#endif
