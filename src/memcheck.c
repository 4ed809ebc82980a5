/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * memcheck.c - see memcheck.h.
 */
#include "memcheck.h"

#ifdef NH_HAVE_MEMCHECK
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND                               0
#define VALGRIND_GET_VBITS(at, bits, bytes)               ((void)(at), (void)(bits), 0)
#define VALGRIND_MAKE_MEM_NOACCESS(at, bytes)             ((void)(at), (void)(bytes))
#define VALGRIND_MAKE_MEM_DEFINED(at, bytes)              ((void)(at), (void)(bytes))
#define VALGRIND_MALLOCLIKE_BLOCK(at, bytes, zone, zeros) ((void)(at), (void)(bytes))
#define VALGRIND_RESIZEINPLACE_BLOCK(at, had, has, zone)  ((void)(at), (void)(had), (void)(has))
#define VALGRIND_FREELIKE_BLOCK(at, zone)                 ((void)(at))
#endif

/* What memcheck is to hide around an object when it is freed: that is so already, and what
 * follows a heap's last object is not ours. */
#define RED_ZONE 0

bool memcheck_is_here(void)
{
    /* Other tools do not know the second question. */
    static const char byte;
    char bits;
    return RUNNING_ON_VALGRIND != 0 && VALGRIND_GET_VBITS(&byte, &bits, 1) == 1;
}

void memcheck_hide(const void *at, size_t bytes)
{
    VALGRIND_MAKE_MEM_NOACCESS(at, bytes);
}

void memcheck_show(const void *at, size_t bytes)
{
    VALGRIND_MAKE_MEM_DEFINED(at, bytes);
}

void memcheck_give(const void *object, size_t size)
{
    VALGRIND_MALLOCLIKE_BLOCK(object, size, RED_ZONE, false);
}

void memcheck_shrink(const void *object, size_t had, size_t has)
{
    VALGRIND_RESIZEINPLACE_BLOCK(object, had, has, RED_ZONE);
}

void memcheck_take(const void *object)
{
    VALGRIND_FREELIKE_BLOCK(object, RED_ZONE);
}
