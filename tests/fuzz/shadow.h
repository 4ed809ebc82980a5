/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * shadow.h - what the program holds, written down beside the heap, and what has to be true of
 * it.  Aborts when it is not.
 *
 * An object is one thread's at a time, which alone touches its entry; shadow_check_all is for
 * when all others wait.
 */
#ifndef NH_TEST_SHADOW_H
#define NH_TEST_SHADOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHADOW_OBJECTS 64
#define SHADOW_ANY     (-1) /* node */

enum shadow_kind { SHADOW_OBJECT, SHADOW_PAGES };

struct shadow {
    void *at; /* NULL: none */
    size_t size, usable;
    size_t alignment; /* that was asked for; 0: none */
    uint64_t seed;
    enum shadow_kind kind;
    bool finalizer;
};
extern struct shadow shadows[SHADOW_OBJECTS];

/* Set before options change with which it is so, until they are as before: nodes have limits,
 * so that an object may be refused; where objects are is not known. */
extern _Atomic bool shadow_scarce, shadow_anywhere;

/* Whether there is an object; aborts where a missing one, for which errno is ENOMEM, has no
 * reason. */
bool shadow_granted(const void *at);
/* A new object that was granted or not, of `node` if that is known; fills it. */
void shadow_add(struct shadow *entry, void *at, size_t size, size_t alignment, int node,
                enum shadow_kind kind);
/* Before it is freed or given to realloc: its contents, and what nh_lookup says at `offset`. */
void shadow_check(const struct shadow *entry, size_t offset);
/* It is freed now. */
void shadow_freed(struct shadow *entry);
/* It is `at` now, of `size` bytes, whatever its contents were before; of these the first are
 * checked. */
void shadow_moved(struct shadow *entry, void *at, size_t size);

/* The finalizer that `entry` gets: counts. */
void shadow_finalizer(void *ptr, void *entry);

/* That no two overlap, that a walk finds these objects and no others, and that their bytes are
 * in the statistics. */
void shadow_check_all(void);
/* That by the statistics nothing is held. */
void shadow_check_none(void);

#endif
