/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * profile_maps.h - the files whose code is mapped, so that a profile's or a report's addresses
 * can be told by name on another day and machine.
 *
 * Asks the kernel, not the loader, whose lock could be waited for in vain: no lock, no
 * malloc, may be used in a signal handler.  errno is the caller's.
 */
#ifndef NH_PROFILE_MAPS_H
#define NH_PROFILE_MAPS_H

#include "base.h"

#define MAPS_BUILD_ID_MAX 32 /* bytes */

struct map {
    uintptr_t begin, end;
    uint64_t offset;                          /* in the file */
    uint64_t address;                         /* by the file's own numbers, as addr2line takes it */
    const char *path;                         /* until the visitor returns */
    char build_id[2 * MAPS_BUILD_ID_MAX + 1]; /* in hexadecimal; "" if it has none */
};

/* What the caller lends for it: a line has a path at most, and some numbers. */
struct maps_room {
    char lines[8192];
};

/* Visits the executable mappings of files by rising address. */
void maps_visit(struct maps_room *room, void (*visit)(const struct map *map, void *arg), void *arg);

#endif
