/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Writes one byte before an object: found when the object that lies there is freed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define SIZE    104
#define SPACING 112 /* with the check word */
#define OBJECTS 1000

int main(void)
{
    char *object[OBJECTS];
    for (int i = 0; i < OBJECTS; i++)
        object[i] = malloc(SIZE);
    for (int i = 0; i < OBJECTS; i++)
        for (int j = 0; j < OBJECTS; j++)
            if ((uintptr_t)object[j] == (uintptr_t)object[i] + SPACING) {
                object[j][-1] ^= 1;
                free(object[i]);
                puts("not found");
                return 0;
            }
    puts("no neighbours");
    return 0;
}
