/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * stay.h - a thread stays on the processor that it is on, and so on its node: where a test
 * counts what one heap or one cache has.
 */
#ifndef NH_TEST_STAY_H
#define NH_TEST_STAY_H

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static inline void stay_on(const cpu_set_t *set)
{
    if (sched_setaffinity(0, sizeof(*set), set) != 0) {
        perror("sched_setaffinity");
        abort();
    }
}

/* Until stay_on is told what it returns. */
static inline cpu_set_t stay_here(void)
{
    cpu_set_t before, here;
    CPU_ZERO(&here);
    CPU_SET((unsigned)sched_getcpu(), &here);
    if (sched_getaffinity(0, sizeof(before), &before) != 0) {
        perror("sched_getaffinity");
        abort();
    }
    stay_on(&here);
    return before;
}

#endif
