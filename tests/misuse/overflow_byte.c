/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Writes one byte behind what it asked for, and frees the object.
 */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    char *p = malloc(100);
    p[100] = 'A';
    free(p);
    puts("not found");
    return 0;
}
