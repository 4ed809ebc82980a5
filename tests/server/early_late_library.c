/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * early_late_library.c - a library that allocates in its constructor and frees
 * in its destructor, and in the constructor by functions that memcheck does not
 * know.  It is not linked to nearheap, so the loader puts the two in any order.
 */
#include "check.h"

#define OBJECTS 100

static void *objects[OBJECTS];

__attribute__((constructor(101))) static void begin(void)
{
    for (size_t i = 0; i < OBJECTS; i++)
        objects[i] = filled(i * 500 + 1);
    if (free_sized != NULL) {
        free_sized(filled(300), 300);
        free_sized(NULL, 300);
        free_aligned_sized(aligned_alloc(64, 128), 64, 128);
    }
}

__attribute__((destructor(101))) static void end(void)
{
    for (size_t i = 0; i < OBJECTS; i++)
        verify_free(objects[i], i * 500 + 1);
    free(filled(300));
}

int early_late_library_works(void);
__attribute__((visibility("default"))) int early_late_library_works(void)
{
    return objects[0] != NULL;
}
