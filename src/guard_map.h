/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * guard_map.h - whether the process is hardened (harden.h); and mappings for metadata, which
 * then lie between pages that nobody may touch.
 *
 * Where the system refuses these (each splits a mapping, of which it allows 65530), there
 * are none.  Like os.h: no lock, no errno.
 */
#ifndef NH_GUARD_MAP_H
#define NH_GUARD_MAP_H

#include "base.h"

#include <stdatomic.h>

/* Relaxed: it is written before `booted` is (process.c), and all heaps are made later. */
extern _Atomic bool harden_active __attribute__((visibility("hidden")));
NH_INLINE bool harden_on(void)
{
    return nh_unlikely(atomic_load_explicit(&harden_active, memory_order_relaxed));
}

/* As os_map, of any place, aligned to NH_SYSTEM_PAGE; and os_discard. */
void *guard_map(size_t bytes);
void guard_discard(void *at, size_t bytes);

/* What guard_enclose needs for so many bytes. */
size_t guard_room(size_t bytes);
/* Makes the ends of memory that is there already such pages, where they are a small part of
 * it: what lies between them, and its bytes. */
void *guard_enclose(void *at, size_t *bytes);

#endif
