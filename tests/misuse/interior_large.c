/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Frees a pointer into a large object.
 */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    char *p = malloc(1000000);
    free(p + 50000);
    puts("not found");
    return 0;
}
