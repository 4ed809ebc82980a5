/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Frees a pointer to the stack.
 */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    char on_stack[64] = "";
    free(on_stack);
    puts("not found");
    return 0;
}
