/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Frees a pointer to static memory.
 */
#include <stdio.h>
#include <stdlib.h>

static char fixed[64];

int main(void)
{
    free(fixed);
    puts("not found");
    return 0;
}
