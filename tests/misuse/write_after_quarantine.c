/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Writes to an object that is free for long: found when it is given out again.
 */
#include "nearheap.h"

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS  1000000
#define OBJECTS 100000

int main(void)
{
    /* Another object keeps their span. */
    void *neighbours[16];
    for (int i = 0; i < 16; i++)
        neighbours[i] = malloc(100);
    char *p = malloc(100);
    free(p);
    struct nh_object at = {.struct_size = sizeof(at), .what = NH_OBJECT};
    for (int i = 0; i < ROUNDS && at.what != NH_FREE_OBJECT; i++) {
        free(malloc(200));
        if (nh_lookup(p, &at) != 0)
            return 1;
    }
    p[3] = 'A';
    for (int i = 0; i < OBJECTS; i++)
        neighbours[i % 16] = malloc(100);
    printf("not found %p\n", neighbours[0]);
    return 0;
}
