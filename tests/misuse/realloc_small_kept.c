/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reallocates from inside a small object, at an address where none can begin, to a size with
 * which that could stay where it is.
 */
#include <stdlib.h>

int main(void)
{
    char *p = malloc(100);
    p = realloc(p + 1, 100);
    return p == NULL;
}
