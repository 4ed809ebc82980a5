/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * memcheck.h - what valgrind's memcheck can be told; memcheck.c alone knows valgrind.
 *
 * Each is a few instructions that do nothing anywhere else.  Built without
 * <valgrind/memcheck.h>, memcheck is never here.
 *
 * Anyone may call these at any time.
 */
#ifndef NH_MEMCHECK_H
#define NH_MEMCHECK_H

#include "base.h"

/* Whether the process runs under memcheck; valgrind's other tools are not. */
bool memcheck_is_here(void);

/* Nobody may touch the bytes; or they may be read and written. */
void memcheck_hide(const void *at, size_t bytes);
void memcheck_show(const void *at, size_t bytes);

/* The program gets an object, whose bytes are not initialised; what is before and behind it
 * is hidden. */
void memcheck_give(const void *object, size_t size);
/* The object, which stays where it is, becomes smaller. */
void memcheck_shrink(const void *object, size_t had, size_t has);
/* The program frees an object, which is hidden from now on.  Where none begins, memcheck
 * reports that. */
void memcheck_take(const void *object);

#endif
