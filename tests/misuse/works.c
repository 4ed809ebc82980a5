/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Nothing wrong: must say nothing and end with 0, whatever the options.
 */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    void *p = malloc(64);
    free(p);
    free(NULL);
    puts("went on");
    return 0;
}
