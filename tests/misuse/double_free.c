/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Frees a small object twice in a row.
 */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    void *p = malloc(64);
    free(p);
    free(p);
    puts("not found");
    return 0;
}
