/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * heap_room.h - what the system can give to a heap, asked outside all locks but the one for
 * asking: the kernel's account of a node, the machine and the control group, less what other
 * heaps were granted and what nobody touched yet.
 *
 * Thread-safe; reads files of the kernel, which are short; errno is the caller's.
 */
#ifndef NH_HEAP_ROOM_H
#define NH_HEAP_ROOM_H

#include "limits.h"
#include "numa/room.h"

struct heap;

/* How hard the system may be pressed. */
enum pressure {
    UNUSED_MEMORY, /* what lies unused on the node */
    ANY_MEMORY     /* what the kernel can make free, wherever it lets us have it */
};

/* Whether the heap may take `pages` more, and renews its quota if so: what another thread takes
 * of that before has to be asked for again. */
bool heap_permitted(struct heap *heap, size_t pages, enum pressure pressure);
/* What the system has no longer, the heap may no longer take. */
void heap_renew_quota(struct heap *heap);

/* What the machine gives easily, and the control group lets the process have; bytes. */
uint64_t heap_machine_room(void);
/* Whether the system refuses to map so much (os_refuses).  One asks at a time: nobody is refused
 * because of what another one tries. */
bool heap_system_refuses(size_t pages);

NH_INLINE size_t room_in_pages(uint64_t bytes)
{
    return bytes == ROOM_BOUNDLESS ? SIZE_MAX : bytes >> NH_PAGE_SHIFT;
}

/* For fork: what guards asking the system. */
void heap_asking_lock(void);
void heap_asking_unlock(void);

#endif
