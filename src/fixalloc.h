/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * fixalloc.h - allocator of metadata records of one size.
 *
 * Records come from chunks mapped straight from the system, never from malloc, or where
 * the system refuses from memory that a heap gives up (page_heap_metadata.c).  They are
 * type-stable: a record that was freed is only ever handed out again as the same type,
 * and its memory is never unmapped, so that a stale reader may look at it.  Thread-safe.
 */
#ifndef NH_FIXALLOC_H
#define NH_FIXALLOC_H

#include "lock.h"

/* Stands at the beginning of a chunk while no record is taken from it. */
struct fixalloc_chunk {
    struct fixalloc_chunk *next;
    size_t bytes;
};

struct fixalloc {
    struct lock lock;
    size_t record; /* bytes; constant */
    unsigned slot; /* heap on whose node the records lie; constant */
    /* Guarded by lock: */
    void *free; /* freed records, linked through their first word */
    char *at;   /* rest of the current chunk */
    char *end;
    struct fixalloc_chunk *added; /* chunks for later */
    size_t mapped;                /* bytes */
};

/* `alignment` is a power of two of at most a system page and divides `record`. */
void fixalloc_init(struct fixalloc *fix, size_t record, size_t alignment, unsigned slot);
/* A record; *fresh tells whether it is zeroed and was never in use (else only
 * the first word was overwritten since it was freed).  NULL when the system
 * has no memory. */
void *fixalloc_get(struct fixalloc *fix, bool *fresh);
void fixalloc_put(struct fixalloc *fix, void *record);
/* Whether fixalloc_get would return one now. */
bool fixalloc_ready(struct fixalloc *fix);
/* How much memory it would have added, which leaves holes where it is taken from: the more the
 * more it has.  A record at least. */
size_t fixalloc_wish(struct fixalloc *fix);
/* Memory for at least one record, which the caller has no longer: zeroed, aligned to
 * NH_SYSTEM_PAGE. */
void fixalloc_add(struct fixalloc *fix, void *at, size_t bytes);
/* Bytes of address space in use. */
size_t fixalloc_mapped(struct fixalloc *fix);
#endif
