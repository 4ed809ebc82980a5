/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * readable.h - whether a byte may be read, as a system call finds it, which fails where the
 * program would be ended.
 */
#ifndef NH_TEST_READABLE_H
#define NH_TEST_READABLE_H

#include "unit.h"

#include <stdbool.h>
#include <unistd.h>

static inline bool readable(const void *at)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    bool may = write(ends[1], at, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return may;
}

#endif
