/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * memcheck_family.h - malloc and its kin under valgrind's memcheck, so that it understands
 * the heap.
 *
 * Memcheck puts its own malloc and kin in the place of all that have these names, and so of
 * our nh_ functions that are the same.  Where it does (MEMCHECK_REPLACES), objects are its
 * own, also those that functions return which it does not know.  Where it does not
 * (--soname-synonyms=somalloc=nouserintercepts, a wholly static program, our names without
 * libc's), objects are ours (MEMCHECK_WATCHES), and it is told of them:
 *
 *  - All memory of a heap is out of bounds but the bytes that were asked for.  An object
 *    lies behind a head, within the object that the engine took for it; so what is written
 *    before or behind it is written to a head, or to what is left over.
 *  - The engine knows where its own objects begin, nobody but the program where the
 *    program's do.  So memcheck is right when it says that nothing points to one.
 *  - What was freed waits, out of bounds, before it is used again.
 *
 * Whole pages (nh_pages_alloc) are the engine's in both cases, behind a page for the head.
 *
 * It is decided when the process boots, by asking memcheck.  Valgrind's other tools
 * (callgrind, helgrind) and everybody else have the engine as it is: malloc and free are
 * other functions under memcheck (fast.c), and what else must differ asks memcheck_on.
 *
 * Thread-safe; no lock may be held.  memcheck_malloc and memcheck_realloc set errno to
 * ENOMEM where they return NULL; to the others it is the caller's.
 */
#ifndef NH_MEMCHECK_FAMILY_H
#define NH_MEMCHECK_FAMILY_H

#include "base.h"

#include <stdatomic.h>

struct heap;

enum memcheck_mode { MEMCHECK_UNKNOWN, MEMCHECK_OFF, MEMCHECK_REPLACES, MEMCHECK_WATCHES };
/* Relaxed: written once, before `booted` is (process.c); who finds it unknown boots. */
extern _Atomic(enum memcheck_mode) memcheck_mode __attribute__((visibility("hidden")));

NH_SLOW bool memcheck_decide(void);
/* Whether the program's objects come from here. */
NH_INLINE bool memcheck_on(void)
{
    return nh_unlikely(atomic_load_explicit(&memcheck_mode, memory_order_relaxed) !=
                       MEMCHECK_OFF) &&
           memcheck_decide();
}

/* Process start. */
void memcheck_boot(void);

/* malloc until the process has booted. */
void *memcheck_first_malloc(size_t size);
/* The same of free: memcheck's objects come here, too, by functions that it does not know. */
void memcheck_first_free(void *ptr);

/* ---- Where memcheck_on(); for the rest as nearheap.h says of their likes ---- */

void *memcheck_malloc(size_t size);
/* From that heap, where the engine has a say. */
void *memcheck_malloc_from(struct heap *heap, size_t size);
void *memcheck_aligned(size_t alignment, size_t size);
void memcheck_free(void *ptr);
/* Neither is 0. */
void *memcheck_realloc(void *ptr, size_t size);
/* What was asked for; 0 where no object is. */
size_t memcheck_usable_size(const void *ptr);
void *memcheck_pages_alloc(struct heap *heap, size_t pages);
void memcheck_pages_free(void *ptr);
/* The engine's object of the program's, to which records are attached (special.h); NULL
 * where there is none. */
void *memcheck_object(const void *ptr);

/* fork: the lock of what waits. */
void memcheck_lock(void);
void memcheck_unlock(void);

#endif
