/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reallocates from inside a small object, which moves it: found like a free.
 */
#include <stdlib.h>

int main(void)
{
    char *p = malloc(100);
    p = realloc(p + 16, 5000);
    return p == NULL;
}
