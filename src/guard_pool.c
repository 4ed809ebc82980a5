/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * guard_pool.c - see guard_pool.h.
 */
#include "guard_pool.h"

#include <string.h>

unsigned guard_pool_take_unused(struct guard_pool *pool)
{
    return pool->used < NH_GUARD_SLOTS ? pool->used++ : GUARD_NO_SLOT;
}

unsigned guard_pool_take(struct guard_pool *pool, unsigned heap)
{
    unsigned unused = guard_pool_take_unused(pool);
    if (unused != GUARD_NO_SLOT || pool->count == 0)
        return unused;
    unsigned place = 0;
    while (place < pool->count && pool->heap[pool->free[place]] != heap)
        place++;
    if (place == pool->count)
        place = 0;
    unsigned slot = pool->free[place];
    pool->count--;
    memmove(&pool->free[place], &pool->free[place + 1], pool->count - place);
    return slot;
}

void guard_pool_put(struct guard_pool *pool, unsigned slot, unsigned heap)
{
    nh_assert(slot < pool->used && pool->count < pool->used);
    pool->heap[slot] = (uint8_t)heap;
    pool->free[pool->count++] = (uint8_t)slot;
}

void guard_cut_for(size_t size, size_t alignment, size_t unit, uintptr_t base,
                   struct guard_cut *out)
{
    *out = (struct guard_cut){.lead = round_up(base + unit, alignment) - base,
                              .room = round_up(size, unit),
                              .trail = unit};
}

size_t guard_cut_most(size_t unit)
{
    struct guard_cut cut;
    guard_cut_for(NH_CLASS_MAX, NH_GRAIN, unit, 0, &cut);
    return guard_cut_bytes(&cut);
}

size_t guard_offset(const struct guard_cut *cut, size_t size, size_t alignment, bool at_end)
{
    size_t whole = round_up(size, alignment); /* more than there is room for, perhaps */
    return cut->lead + (at_end && whole < cut->room ? cut->room - whole : 0);
}

enum guard_where guard_where(uintptr_t object, size_t size, uintptr_t address, size_t *distance)
{
    if (address < object) {
        *distance = object - address;
        return GUARD_BEFORE;
    }
    *distance = address - object;
    if (*distance < size)
        return GUARD_INSIDE;
    *distance -= size;
    return GUARD_BEHIND;
}
