/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * fails.c - a target in which something is wrong, so that it is seen how that ends.
 */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FUZZ_CHECK(size == 0 || data[0] != '!');
    return 0;
}
