/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Frees four objects twice that come home together: each is told.
 */
#include <stdlib.h>

#define OBJECTS 4

int main(void)
{
    void *objects[OBJECTS];
    for (int i = 0; i < OBJECTS; i++)
        objects[i] = malloc(40);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < OBJECTS; i++)
            free(objects[i]);
    return 0;
}
