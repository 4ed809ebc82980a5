/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An object is freed again, with a size it had not: that it is free already is what is told.
 */
#include <stdio.h>
#include <stdlib.h>

void free_sized(void *ptr, size_t size);

int main(void)
{
    void *volatile object = malloc(64);
    free_sized(object, 64);
    free_sized(object, 8);
    puts("not found");
    return 0;
}
