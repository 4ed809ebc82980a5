/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reallocates a large object that was freed.
 */
#include <stdlib.h>

int main(void)
{
    void *p = malloc(1000000);
    free(p);
    p = realloc(p, 2000000);
    return p != NULL;
}
