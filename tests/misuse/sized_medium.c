/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Frees an object of more than 1 KiB with a byte more than it has.
 */
#include <stdio.h>
#include <stdlib.h>

void free_sized(void *ptr, size_t size);

int main(void)
{
    free(malloc(2000));
    free_sized(malloc(2000), 2049);
    puts("not found");
    return 0;
}
