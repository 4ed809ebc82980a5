/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * api.h - what the files that hold the public functions share.
 */
#ifndef NH_API_INTERNAL_H
#define NH_API_INTERNAL_H

#include "base.h"
#include "lookup.h"

/* The slot of a node, as the system numbers it, that has memory for us now;
 * false and EINVAL without. */
bool api_find_slot(int node, unsigned *slot);

/* The slot of a node that has or had memory for us. */
bool api_find_any_slot(int node, unsigned *slot);

/* Copies what the caller's version of a struct, of `room` bytes, has room for;
 * struct_size, which comes first, becomes what was filled in.  -1 and EINVAL
 * when even the header of `header` bytes does not fit. */
int api_copy_out(void *out, size_t room, const void *all, size_t size, size_t header);

/* What nh_lookup says; all but struct_size. */
void api_describe(const struct lookup *at, struct nh_object *out);

#endif
