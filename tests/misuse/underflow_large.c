/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Writes before a large object, where its guard page is.
 */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    volatile char *p = malloc(1000000);
    p[0] = 'A';
    p[-1] = 'A';
    puts("not found");
    return 0;
}
