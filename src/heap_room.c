/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * heap_room.c - see heap_room.h.
 */
#include "heap_room.h"

#include "heap.h"
#include "numa/placement.h"
#include "os.h"

/* One asks the system at a time: nobody is granted by an answer that was given before
 * another one was granted the same.  It takes some files of the kernel, which are short. */
static NH_TOGETHER struct lock asking = LOCK_INIT(LOCK_ROOM);

void heap_asking_lock(void)
{
    lock_acquire_again(&asking);
}

void heap_asking_unlock(void)
{
    lock_release_again(&asking);
}

/* What is the node's alone; ROOM_BOUNDLESS where the heap is of no node. */
static uint64_t node_room(struct heap *heap, enum pressure pressure)
{
    if (!placement_works() || heap->slot == NH_HEAP_INTERLEAVED ||
        placement_policy() == PLACEMENT_INTERLEAVE)
        return ROOM_BOUNDLESS;
    int node = placement_node(heap->slot);
    if (placement_policy() == PLACEMENT_BIND)
        return room_of_plan(&heap->bound, node, page_heap_used(&heap->pages) << NH_PAGE_SHIFT,
                            pressure == ANY_MEMORY);
    return pressure == ANY_MEMORY ? ROOM_BOUNDLESS : room_of_node(node);
}

uint64_t heap_machine_room(void)
{
    uint64_t machine = room_of_machine(), cgroup = room_of_cgroup();
    return machine < cgroup ? machine : cgroup;
}

/* What all heaps take from: the control group's, or all nodes' together.  How far a machine
 * that is not placed may be overcommitted is the kernel's to say; but a heap gives back what
 * it has free before it takes what may get somebody killed. */
static uint64_t shared_room(struct heap *heap, enum pressure pressure)
{
    if (placement_works()) {
        bool anywhere = heap->slot == NH_HEAP_INTERLEAVED ||
                        placement_policy() == PLACEMENT_INTERLEAVE ||
                        (pressure == ANY_MEMORY && placement_policy() != PLACEMENT_BIND);
        return anywhere ? room_of_process() : room_of_cgroup();
    }
    return pressure == UNUSED_MEMORY ? heap_machine_room() : room_of_cgroup();
}

/* Of used pages, those with objects that wait to be given out for the first time: at most. */
#define FRESH_SHIFT 3

/* Pages that count as taken from the system, but were never touched: the kernel does not count
 * them yet, and nobody asks again when they are used.  They may be free, or of objects that
 * were not given out yet; what the program asked for and does not touch is its own affair.  And
 * the kernel may count a huge page where a heap begins to use it. */
static size_t untouched(void)
{
    size_t used = 0, free = 0, begun = 0;
    size_t taken = room_in_pages(room_taken()); /* before what is used (system_room) */
    for (unsigned slot = 0; slot < NH_HEAPS; slot++) {
        struct heap *heap = heap_if_exists(slot);
        if (heap != NULL) {
            used += page_heap_used(&heap->pages);
            free += page_heap_resident_pages(&heap->pages);
            begun += NH_HUGE_PAGES;
        }
    }
    size_t missing = used > taken ? used - taken : 0;
    size_t most = free + (used >> FRESH_SHIFT);
    return begun + (missing < most ? missing : most);
}

/* Of what all heaps take from; SIZE_MAX where it has no end. */
static size_t shared_left(struct heap *heap, enum pressure pressure)
{
    size_t reserved = untouched();
    size_t shared = room_in_pages(shared_room(heap, pressure));
    if (shared == SIZE_MAX)
        return SIZE_MAX;
    return shared > reserved ? shared - reserved : 0;
}

static size_t granted_to_others(const struct heap *heap)
{
    size_t granted = 0;
    for (unsigned slot = 0; slot < NH_HEAPS; slot++) {
        struct heap *other = heap_if_exists(slot);
        size_t quota = other != NULL && other != heap ? page_heap_quota(&other->pages) : 0;
        granted = quota < SIZE_MAX - granted ? granted + quota : SIZE_MAX;
    }
    return granted;
}

static void take_back_grants(const struct heap *heap)
{
    for (unsigned slot = 0; slot < NH_HEAPS; slot++) {
        struct heap *other = heap_if_exists(slot);
        if (other != NULL && other != heap)
            page_heap_cut_quota(&other->pages, 0);
    }
}

/* What others were granted and have not taken is theirs; but where that leaves too little, they
 * lose it, and ask again.  Pages are granted, taken, and touched: it is looked at in this
 * order, so that those which go on meanwhile are counted twice rather than never. */
static size_t system_room(struct heap *heap, enum pressure pressure, size_t wanted)
{
    size_t node = room_in_pages(node_room(heap, pressure));
    if (node < wanted)
        return node;
    size_t granted = granted_to_others(heap);
    size_t shared = shared_left(heap, pressure);
    if (shared != SIZE_MAX) {
        if (granted <= shared && shared - granted >= wanted) {
            shared -= granted;
        } else {
            take_back_grants(heap);
            shared = shared_left(heap, pressure);
        }
    }
    return node < shared ? node : shared;
}

bool heap_permitted(struct heap *heap, size_t pages, enum pressure pressure)
{
    lock_acquire(&asking);
    bool may = page_heap_permit(&heap->pages, pages, system_room(heap, pressure, pages),
                                NH_QUOTA_STEP >> NH_PAGE_SHIFT);
    lock_release(&asking);
    return may;
}

/* A limit may have come down since the quota was granted. */
void heap_renew_quota(struct heap *heap)
{
    lock_acquire(&asking);
    page_heap_cut_quota(&heap->pages, system_room(heap, UNUSED_MEMORY, 0));
    lock_release(&asking);
}

bool heap_system_refuses(size_t pages)
{
    lock_acquire(&asking);
    bool refused = os_refuses(pages << NH_PAGE_SHIFT);
    lock_release(&asking);
    return refused;
}
