/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a C++ compiler makes of deleting an object as one of another type: operator
 * delete(void *, size_t) with that type's size.
 */
#include <stdio.h>
#include <stdlib.h>

void _ZdlPvm(void *ptr, size_t size);

int main(void)
{
    _ZdlPvm(malloc(64), 1000);
    puts("not found");
    return 0;
}
