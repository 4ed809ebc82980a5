/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * broken_malloc.c - objects of malloc that overlap the next one: workloads must notice,
 * and bench/compare must say so.  Those outside the bounds do not, so that programs come
 * as far as their work.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#define EXPORT  __attribute__((visibility("default")))
#define GRAIN   ((size_t)16) /* of which two objects share one */
#define LEAST   ((size_t)64)
#define MOST    ((size_t)1024)
#define ARENA   ((size_t)256 << 20)
#define ROUNDED (GRAIN - 1)

static _Alignas(16) char arena[ARENA];
static atomic_size_t used;

static void *take(size_t size, size_t shared)
{
    size_t length = ((size + ROUNDED) & ~ROUNDED) + GRAIN;
    if (size > ARENA)
        return NULL;
    size_t at = atomic_fetch_add(&used, length - shared);
    return at > ARENA - length ? NULL : arena + at;
}

EXPORT void *malloc(size_t size)
{
    return take(size, size >= LEAST && size <= MOST ? 2 * GRAIN : 0);
}

EXPORT void free(void *pointer)
{
    (void)pointer;
}

/* The arena is zero until it is used. */
EXPORT void *calloc(size_t count, size_t size)
{
    return take(count * size, 0);
}

/* Nobody knows the old size; what follows the object is in the arena, too. */
EXPORT void *realloc(void *pointer, size_t size)
{
    void *moved = take(size, 0);
    if (moved != NULL && pointer != NULL)
        memmove(moved, pointer, size);
    return moved;
}
