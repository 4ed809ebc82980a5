/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * family.h - the malloc family that a test calls: the program's own names, or
 * with NH_TEST_DIRECT the engine's nh_ names (nearheap_noreplace).
 */
#ifndef NH_TEST_FAMILY_H
#define NH_TEST_FAMILY_H

#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Whether the engine is told to be (src/harden.h). */
static inline bool hardened(void)
{
    const char *value = getenv("NEARHEAP_HARDEN");
    return value != NULL && strcmp(value, "1") == 0;
}

#ifdef NH_TEST_DIRECT
#include "nearheap.h"
#define malloc             nh_malloc
#define calloc             nh_calloc
#define realloc            nh_realloc
#define reallocarray       nh_reallocarray
#define free               nh_free
#define posix_memalign     nh_posix_memalign
#define aligned_alloc      nh_aligned_alloc
#define memalign           nh_memalign
#define valloc             nh_valloc
#define pvalloc            nh_pvalloc
#define malloc_usable_size nh_malloc_usable_size
#define malloc_trim        nh_malloc_trim
#define free_sized         nh_free_sized
#define free_aligned_sized nh_free_aligned_sized
#else
/* C23's, which glibc 2.36 does not have: there only with nearheap preloaded. */
#ifdef NH_TEST_GLIBC
#pragma weak free_sized
#pragma weak free_aligned_sized
#endif
void free_sized(void *ptr, size_t size);
void free_aligned_sized(void *ptr, size_t alignment, size_t size);
#endif

#endif
