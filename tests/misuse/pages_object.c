/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Gives an object back as if it were pages for buffer pools.
 */
#include "nearheap.h"

#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    nh_pages_free(malloc(1000000));
    puts("not found");
    return 0;
}
