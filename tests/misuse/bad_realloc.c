/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reallocs a pointer to the stack.
 */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    char on_stack[64] = "";
    char *p = realloc(on_stack, 128);
    printf("not found %p\n", (void *)p);
    return 0;
}
