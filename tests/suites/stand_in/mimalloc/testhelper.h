// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What mimalloc's tests take from their testhelper.h, which is left out by its own guard.
#pragma once
#define TESTHELPER_H_
#include "../cases.h"
#include <errno.h>

static inline bool case_result(bool result)
{
    if (!result)
        case_fail("its condition does not hold");
    case_end();
    return true;
}

#define CHECK_BODY(name)                                                                           \
    case_begin(name);                                                                              \
    errno = 0;                                                                                     \
    for (bool done = false, result = true; !done; done = case_result(result))

#define CHECK(name, expression)                                                                    \
    CHECK_BODY(name)                                                                               \
    {                                                                                              \
        result = (expression);                                                                     \
    }

#define print_test_summary cases_end
