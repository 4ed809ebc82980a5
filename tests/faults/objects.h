/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * objects.h - objects from all functions that give some, whatever fails, freed by those that
 * may free them, with contents that are known.
 *
 * Nothing here ends the program: what is wrong is counted.
 */
#ifndef NH_TEST_OBJECTS_H
#define NH_TEST_OBJECTS_H

#include "../../bench/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OBJECT_LARGEST ((size_t)6 << 20)

/* What an object is freed by: free, and free_sized or free_aligned_sized, too; operator delete;
 * nh_pages_free. */
enum family {
    FAMILY_FREE,
    FAMILY_SIZED,
    FAMILY_ALIGNED_SIZED,
    FAMILY_NEW,
    FAMILY_NEW_ALIGNED,
    FAMILY_PAGES
};

/* One of a thread's at a time. */
struct object {
    unsigned char *at; /* or NULL */
    size_t size, alignment;
    uint64_t seed;
    enum family family;
    unsigned finalizers, finalizers_run; /* attached: one or none */
};

/* As load.h tells of them. */
extern struct object_counts {
    _Atomic uint64_t nulls, errors, corrupted, lost;
} object_counts;
/* Counts and tells of one thing that is wrong. */
void object_wrong(_Atomic uint64_t *count, const char *what, const void *at, uint64_t more);

/* A new object where there is none; false where it is refused. */
bool object_allocate(struct object *object, uint64_t *state);
/* Checks, frees. */
void object_release(struct object *object);
/* By realloc or reallocarray, where that may be. */
void object_resize(struct object *object, uint64_t *state);
/* A finalizer, or none any more. */
void object_attach(struct object *object);
/* Checks it against what was written, and what nh_lookup says. */
void object_verify(const struct object *object);

#endif
