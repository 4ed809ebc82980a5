/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reallocates from the middle of a large object.
 */
#include <stdlib.h>

int main(void)
{
    char *p = malloc(1000000);
    p = realloc(p + 500000, 2000000);
    return p != NULL;
}
