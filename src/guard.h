/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * guard.h - objects between guard pages: some of all that are allocated, chosen at random
 * (sampling.h), so that in the long run, and on many machines, wrong accesses are found where
 * they happen, at a cost that a server can pay.  The idea is GWP-ASan's.
 *
 * Such an object has a slot of its own: a span of its thread's heap, with pages that nobody may
 * touch before and behind, and the object next to either, by chance.  When it is freed, nobody may
 * touch any of it for as long as the pool has other slots.  What touches it gets SIGSEGV, and
 * guard_fault.c says what was wrong and who allocated and freed the object.
 *
 * The object's page has a home word whose bins are always full (row.h), so free and realloc
 * notice by their slow path, and other objects pay nothing.  While a slot has an object its span
 * is IN_USE, else MANUAL, so that lookups and walks need not know of slots: they find the object
 * where it is, with the size that was asked for.
 *
 * Thread-safe; errno is the caller's.  Never calls malloc.
 */
#ifndef NH_GUARD_H
#define NH_GUARD_H

#include "base.h"
#include "limits.h"

struct heap;

/* Begins what the option asks for; process start.  As guard_set. */
void guard_begin(void);
/* Objects at a mean distance of so many allocated bytes get guard pages from now on; 0: none.
 * False, and a line is printed that says why, where there can be none.  Calls dlopen: with no lock
 * held, and not on the malloc path. */
bool guard_set(size_t distance);

/* An object of `size` bytes, at least 1 and at most NH_CLASS_MAX, with slot and guard pages, of
 * `heap`; `alignment` is a power of two, from NH_GRAIN to NH_CLASS_MAX.  NULL when it is not to
 * be had in this way. */
void *guard_alloc(struct heap *heap, size_t size, size_t alignment);
/* `ptr` points to a page that such an object begins on. */
void guard_free(void *ptr);
size_t guard_usable_size(const void *ptr);
/* Whether a live object begins there; reports what is not one, as `call`'s (bad_pointer.h). */
bool guard_check(const char *call, const void *ptr);

/* ---- For reports ---- */

/* Who did something to an object. */
struct guard_trace {
    int thread; /* by the kernel's number; 0: nobody did */
    unsigned depth;
    uintptr_t frame[NH_GUARD_FRAMES]; /* addresses of calls, the innermost first */
};

/* The object that a slot has, or had last. */
struct guard_object {
    uintptr_t address;
    size_t size;
    struct guard_trace allocated, freed;
};

/* Copies what is known of the slot that the address lies in; false if it lies in none.  Also in
 * a signal handler of a thread that touched a slot, for then it is not in here. */
bool guard_find(uintptr_t address, struct guard_object *out);

/* fork.  What other threads had in hand then stays out of use in the child. */
void guard_lock(void);
void guard_unlock(void);

#endif
