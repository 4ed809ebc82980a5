/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * node_limit.h - the option NEARHEAP_NODE_LIMIT: how much of a node's memory
 * the process may have.
 */
#ifndef NH_NODE_LIMIT_H
#define NH_NODE_LIMIT_H

#include "log.h"

/* What its text is. */
#define NODE_LIMIT_FORM "a size (k, m or g may follow) or a list of NODE=SIZE"

/* Once, when the process boots: prints a line if the option is not sound, which then sets no
 * limit, or names a node that is not here. */
void node_limit_check(void);

/* While the process runs, with the lock of heaps' creation: the option becomes `text`, which
 * is sound. */
void node_limit_change(const char *text);

/* Whether all nodes that a sound text names have memory here; if not, what is wrong is added
 * to `problem`. */
bool node_limit_is_of_nodes(const char *text, struct text *problem);

/* With that lock: pages for the heap of `slot`; SIZE_MAX without a limit. */
size_t node_limit_pages(unsigned slot);

/* ---- Pure; tested alone ---- */

/* What `text` says of `node` in bytes, SIZE_MAX if nothing; false when it is
 * ill-formed. */
bool node_limit_parse(const char *text, int node, size_t *bytes);

/* Whether `text` is well-formed, limits no node twice, and leaves each some memory; if not,
 * what is wrong is added to `problem`. */
bool node_limit_is_sound(const char *text, struct text *problem);

#endif
