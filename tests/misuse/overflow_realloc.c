/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Writes behind an object and lets it grow.
 */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    char *p = malloc(100);
    p[102] = 'A';
    p = realloc(p, 1000);
    printf("not found %p\n", (void *)p);
    return 0;
}
