/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * placement.h - tells the kernel on which node an address range's pages belong.
 *
 * These are libnuma's mbind and move_pages, made as system calls: they happen
 * at a heap's growth, which may come before any constructor, where libnuma,
 * which allocates when it is loaded, cannot be.  None of them allocates, locks
 * or changes errno; all may be called by any thread.
 *
 * A refusal (a container's filter, an old kernel) is told once and then no
 * longer tried: pages then lie where they are first touched, which is on the
 * node of the thread that asked for them most of the time.
 */
#ifndef NH_PLACEMENT_H
#define NH_PLACEMENT_H

#include "base.h"
#include "limits.h"

#include <stdatomic.h>

enum placement_policy {
    PLACEMENT_LOCAL,     /* on the heap's node while it has memory, else near it */
    PLACEMENT_BIND,      /* on the heap's node only */
    PLACEMENT_INTERLEAVE /* page by page over all nodes */
};

/* Before any heap exists, after topology_boot.  `chosen` is a list of nodes as
 * the kernel writes it ("0-1,3") over which interleaved memory is spread; ""
 * or a list of no node of ours means all. */
void placement_boot(enum placement_policy policy, const char *chosen);
/* Whether `chosen` is one of these; if not, what is wrong is added to `problem`.  Pure. */
struct text;
bool placement_list_is_sound(const char *chosen, struct text *problem);
enum placement_policy placement_policy(void);

/* Whether pages are placed at all: there are several real nodes. */
bool placement_works(void);

/* The range, newly mapped and untouched, is of the heap of `slot`, or of the
 * interleaved heap (NH_HEAP_INTERLEAVED). */
void placement_assign(void *at, size_t bytes, unsigned slot);

/* The node on which the heap's memory is placed now, as the system numbers it;
 * -1 for the interleaved heap.  Relaxed: it orders no other memory. */
extern _Atomic int16_t placement_nodes[NH_HEAPS] __attribute__((visibility("hidden")));
NH_INLINE int placement_node(unsigned slot)
{
    return atomic_load_explicit(&placement_nodes[slot], memory_order_relaxed);
}

/* From now on the memory of `slot` is placed on the node of slot `on`. */
void placement_redirect(unsigned slot, unsigned on);

/* Moves the pages of a range of heap `slot` to where they are placed now, and
 * makes that the range's policy.  False if the kernel refuses or leaves some. */
bool placement_move(void *at, size_t bytes, unsigned slot);

/* Where `count` system pages are: their nodes, or a negative errno for pages
 * that are not there.  False if the kernel does not tell. */
bool placement_query(void *const *pages, size_t count, int *nodes);

#endif
