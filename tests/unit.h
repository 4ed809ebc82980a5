/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit.h - cmocka with the headers it needs, and a repeatable random stream.
 */
#ifndef NH_TEST_UNIT_H
#define NH_TEST_UNIT_H

#include "../bench/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#endif
