/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Frees the address just past a large object.
 */
#include <malloc.h>
#include <stdlib.h>

int main(void)
{
    char *p = malloc(1000000);
    free(p + malloc_usable_size(p));
    return 0;
}
