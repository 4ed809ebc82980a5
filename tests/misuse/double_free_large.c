/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Frees a large object twice.
 */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    void *p = malloc(1000000);
    free(p);
    free(p);
    puts("not found");
    return 0;
}
