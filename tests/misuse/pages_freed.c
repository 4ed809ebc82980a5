/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Frees pages for buffer pools as if they were an object.
 */
#include "nearheap.h"

#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    void *p = nh_pages_alloc(100, -1);
    free(p);
    puts("not found");
    return 0;
}
