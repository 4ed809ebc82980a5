/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What deleting an object as one of its base class does where the destructor is not virtual: the
 * size is less than what was asked for.  Only a hardened process knows what that was.
 */
#include <stdio.h>
#include <stdlib.h>

void free_sized(void *ptr, size_t size);

int main(void)
{
    free_sized(malloc(64), 63);
    puts("went on");
    return 0;
}
