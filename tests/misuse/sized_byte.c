/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Frees an object with a byte more than it has.
 */
#include <stdio.h>
#include <stdlib.h>

void free_sized(void *ptr, size_t size);

int main(void)
{
    free(malloc(64));
    free_sized(malloc(64), 65);
    puts("not found");
    return 0;
}
