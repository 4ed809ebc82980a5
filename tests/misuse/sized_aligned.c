/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Frees an object with a size that it never had, and its alignment.
 */
#include <stdio.h>
#include <stdlib.h>

void free_aligned_sized(void *ptr, size_t alignment, size_t size);

int main(void)
{
    free_aligned_sized(aligned_alloc(64, 256), 64, 512);
    puts("not found");
    return 0;
}
