/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Copies a string into an object that has no room for its end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH 104 /* with a check word, a size class */

int main(void)
{
    char text[LENGTH + 1];
    memset(text, 'x', LENGTH);
    text[LENGTH] = '\0';
    char *p = malloc(LENGTH);
    strcpy(p, text);
    free(p);
    puts("not found");
    return 0;
}
