/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * api_finalizer.c - the public functions about finalizers; special.h runs them.
 */
#include "memcheck_family.h"
#include "nearheap.h"
#include "special.h"

#include <errno.h>

static int fail(int error)
{
    errno = error;
    return -1;
}

int nh_attach_finalizer(void *ptr, nh_finalizer fn, void *arg)
{
    if (memcheck_on())
        ptr = memcheck_object(ptr);
    if (fn == NULL || !special_may_have(ptr))
        return fail(EINVAL);
    struct special *special = special_new(ptr, SPECIAL_FINALIZER);
    if (special == NULL)
        return fail(ENOMEM);
    special->finalizer.fn = fn;
    special->finalizer.arg = arg;
    if (special_link(special, ptr))
        return 0;
    special_drop(special);
    return fail(EEXIST);
}

int nh_detach_finalizer(void *ptr)
{
    if (memcheck_on())
        ptr = memcheck_object(ptr);
    struct special *special = special_unlink(ptr, SPECIAL_FINALIZER);
    if (special == NULL)
        return fail(ENOENT);
    special_drop(special);
    return 0;
}
