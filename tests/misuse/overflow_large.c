/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Writes behind a large object, where its guard page is.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    char *p = malloc(1000000);
    size_t size = malloc_usable_size(p);
    p[size - 1] = 'A';
    ((volatile char *)p)[size] = 'A';
    puts("not found");
    return 0;
}
