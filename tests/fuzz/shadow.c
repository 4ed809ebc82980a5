/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * shadow.c - see shadow.h.
 */
#include "shadow.h"

#include "../stamps.h"
#include "fuzz.h"
#include "nearheap.h"
#include "numa/room.h"

#include <errno.h>

/* More than a heap asks for at a time. */
#define MUCH_ROOM ((uint64_t)1 << 30)

struct shadow shadows[SHADOW_OBJECTS];
_Atomic bool shadow_scarce, shadow_anywhere;

static _Atomic uint64_t next_seed = 1;
static _Atomic uint32_t finalized[SHADOW_OBJECTS]; /* calls that are not yet accounted for */

static size_t usable_of(const struct shadow *entry)
{
    return entry->kind == SHADOW_PAGES ? entry->size : nh_malloc_usable_size(entry->at);
}

static void fill(struct shadow *entry)
{
    entry->usable = usable_of(entry);
    entry->seed = atomic_fetch_add(&next_seed, 0x9e3779b97f4a7c15);
    stamps_write(entry->at, entry->usable, entry->seed);
}

static void look(const struct shadow *entry, size_t offset)
{
    struct nh_object object = {.struct_size = sizeof(object)};
    FUZZ_CHECK(nh_lookup((const char *)entry->at + offset, &object) == 0);
    FUZZ_CHECK(object.what == (entry->kind == SHADOW_PAGES ? NH_PAGES : NH_OBJECT));
    FUZZ_CHECK(object.object == entry->at);
    /* One that is sampled has pages of its own. */
    FUZZ_CHECK(object.size >= entry->usable);
    FUZZ_CHECK((uintptr_t)object.span <= (uintptr_t)entry->at &&
               (uintptr_t)entry->at + entry->usable <= (uintptr_t)object.span + object.span_size);
    FUZZ_CHECK(object.home_node == nh_node_of(entry->at) || object.home_node == -1);
}

/* Other programs may have filled it: then a made-up node's memory comes from another's, as it
 * shall. */
static bool machine_is_full(void)
{
    return room_of_machine() < MUCH_ROOM || room_of_cgroup() < MUCH_ROOM;
}

bool shadow_granted(const void *at)
{
    FUZZ_CHECK(at != NULL || (shadow_scarce && errno == ENOMEM));
    return at != NULL;
}

void shadow_add(struct shadow *entry, void *at, size_t size, size_t alignment, int node,
                enum shadow_kind kind)
{
    if (!shadow_granted(at))
        return;
    FUZZ_CHECK((uintptr_t)at % alignment == 0);
    *entry = (struct shadow){.at = at, .size = size, .kind = kind};
    FUZZ_CHECK(usable_of(entry) >= size);
    FUZZ_CHECK(node == SHADOW_ANY || nh_node_of(at) == node || shadow_anywhere ||
               machine_is_full());
    fill(entry);
    look(entry, 0);
}

void shadow_check(const struct shadow *entry, size_t offset)
{
    FUZZ_CHECK(usable_of(entry) == entry->usable);
    FUZZ_CHECK(stamps_check(entry->at, entry->usable, entry->at, entry->seed) == STAMPS_GOOD);
    FUZZ_CHECK(finalized[entry - shadows] == 0);
    look(entry, entry->usable == 0 ? 0 : offset % entry->usable);
}

void shadow_freed(struct shadow *entry)
{
    FUZZ_CHECK(atomic_exchange(&finalized[entry - shadows], 0) == entry->finalizer);
    entry->at = NULL;
}

void shadow_moved(struct shadow *entry, void *at, size_t size)
{
    const void *was = entry->at;
    size_t kept = entry->usable;
    entry->at = at;
    entry->size = size;
    entry->alignment = 0;
    size_t usable = usable_of(entry);
    FUZZ_CHECK((uintptr_t)at % 16 == 0 && usable >= size);
    FUZZ_CHECK(finalized[entry - shadows] == 0); /* it goes along, and is not called */
    if (kept > size)
        kept = size;
    FUZZ_CHECK(stamps_check(at, kept, was, entry->seed) == STAMPS_GOOD);
    fill(entry);
    look(entry, 0);
}

void shadow_finalizer(void *ptr, void *entry)
{
    struct shadow *of = entry;
    FUZZ_CHECK(of->at == ptr);
    FUZZ_CHECK(stamps_check(ptr, of->usable, ptr, of->seed) == STAMPS_GOOD);
    atomic_fetch_add(&finalized[of - shadows], 1);
}

/* ---- All of them ---- */

static int by_address(const void *left, const void *right)
{
    const struct shadow *const *a = left, *const *b = right;
    return (*a)->at < (*b)->at ? -1 : (*a)->at > (*b)->at;
}

struct walk {
    const struct shadow *sorted[SHADOW_OBJECTS];
    size_t count, met;
};

/* In order of addresses, as ours. */
static int meet(const struct nh_object *object, void *arg)
{
    struct walk *walk = arg;
    FUZZ_CHECK(walk->met < walk->count);
    const struct shadow *entry = walk->sorted[walk->met++];
    FUZZ_CHECK(object->object == entry->at && object->size >= entry->usable);
    return 0;
}

void shadow_check_all(void)
{
    struct walk walk = {.count = 0};
    uint64_t bytes = 0;
    for (size_t i = 0; i < SHADOW_OBJECTS; i++)
        if (shadows[i].at != NULL) {
            walk.sorted[walk.count++] = &shadows[i];
            bytes += shadows[i].kind == SHADOW_OBJECT ? shadows[i].usable : 0;
            FUZZ_CHECK(stamps_check(shadows[i].at, shadows[i].usable, shadows[i].at,
                                    shadows[i].seed) == STAMPS_GOOD);
        }
    qsort(walk.sorted, walk.count, sizeof(*walk.sorted), by_address);
    for (size_t i = 1; i < walk.count; i++)
        FUZZ_CHECK((char *)walk.sorted[i - 1]->at + walk.sorted[i - 1]->usable <=
                   (char *)walk.sorted[i]->at);
    FUZZ_CHECK(nh_walk_objects(meet, &walk) == 0);
    FUZZ_CHECK(walk.met == walk.count);
    struct nh_stats stats = {.struct_size = sizeof(stats)};
    FUZZ_CHECK(nh_stats_read(&stats) == 0);
    FUZZ_CHECK(stats.live_bytes >= bytes);
    FUZZ_CHECK(stats.mapped_bytes >= stats.in_use_bytes + stats.free_bytes);
}

void shadow_check_none(void)
{
    struct nh_stats stats = {.struct_size = sizeof(stats)};
    struct nh_pair_stats pair = {.struct_size = sizeof(pair)};
    /* Which counts what other nodes freed, too. */
    (void)nh_pair_stats_read(nh_current_node(), nh_current_node(), &pair);
    FUZZ_CHECK(nh_stats_read(&stats) == 0);
    FUZZ_CHECK(stats.live_bytes == 0 && stats.large_objects == 0);
}
