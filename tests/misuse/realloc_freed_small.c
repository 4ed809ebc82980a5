/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reallocates a small object that was freed.
 */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    void *p = malloc(100);
    free(p);
    p = realloc(p, 200);
    printf("not found %p\n", p);
    return 0;
}
