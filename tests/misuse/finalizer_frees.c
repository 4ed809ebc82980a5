/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * finalizer_frees.c - a finalizer frees the object it is called for.
 */
#include "nearheap.h"

#include <stdlib.h>

static void again(void *ptr, void *arg)
{
    (void)arg;
    free(ptr);
}

int main(void)
{
    void *object = malloc(100);
    if (nh_attach_finalizer(object, again, NULL) != 0)
        return 1;
    free(object);
    return 0;
}
