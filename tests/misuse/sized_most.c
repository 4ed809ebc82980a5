/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Frees an object with the largest size there is.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void free_sized(void *ptr, size_t size);

int main(void)
{
    free(malloc(64));
    free_sized(malloc(64), SIZE_MAX);
    puts("not found");
    return 0;
}
