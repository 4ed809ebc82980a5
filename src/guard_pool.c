/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * guard_pool.c - see guard_pool.h.
 */
#include "guard_pool.h"

unsigned guard_pool_take(struct guard_pool *pool)
{
    if (pool->used < NH_GUARD_SLOTS)
        return pool->used++;
    if (pool->count == 0)
        return GUARD_NO_SLOT;
    unsigned slot = pool->free[pool->first];
    pool->first = (pool->first + 1) % NH_GUARD_SLOTS;
    pool->count--;
    return slot;
}

void guard_pool_put(struct guard_pool *pool, unsigned slot)
{
    nh_assert(slot < pool->used && pool->count < pool->used);
    pool->free[(pool->first + pool->count) % NH_GUARD_SLOTS] = (uint16_t)slot;
    pool->count++;
}

void guard_cut_for(size_t size, size_t alignment, size_t unit, struct guard_cut *out)
{
    *out = (struct guard_cut){
        .lead = alignment > unit ? alignment : unit, .room = round_up(size, unit), .trail = unit};
}

size_t guard_offset(const struct guard_cut *cut, size_t size, size_t alignment, bool at_end)
{
    return cut->lead + (at_end ? cut->room - round_up(size, alignment) : 0);
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
