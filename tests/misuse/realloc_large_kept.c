/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reallocates from inside an object with a span of its own, to a size that others have in spans
 * together, and with which it could stay where it is.
 */
#include <stdlib.h>

int main(void)
{
    char *p = malloc(80000);
    p = realloc(p + 16, 60000);
    return p == NULL;
}
