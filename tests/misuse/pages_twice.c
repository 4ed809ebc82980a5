/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Gives pages for buffer pools back twice.
 */
#include "nearheap.h"

#include <stdio.h>

int main(void)
{
    void *p = nh_pages_alloc(100, -1);
    nh_pages_free(p);
    nh_pages_free(p);
    puts("not found");
    return 0;
}
