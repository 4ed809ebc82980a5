/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Frees a large object with a size that it never had.
 */
#include <stdio.h>
#include <stdlib.h>

void free_sized(void *ptr, size_t size);

int main(void)
{
    free_sized(malloc(1000000), 2000000);
    puts("not found");
    return 0;
}
