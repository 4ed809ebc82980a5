/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * profile.c - see profile.h: taking samples, and counting them.
 */
#include "profile.h"

#include "cache.h"
#include "guard_map.h"
#include "os.h"
#include "sample.h"
#include "special.h"

#include <string.h>
#include <time.h>

#define HASH_SHIFT 12
#define HASHES     ((size_t)1 << HASH_SHIFT)

/* Guards additions to all that follows; readers start at the atomic heads, whose stores
 * are releases. */
static NH_TOGETHER struct lock lock = LOCK_INIT(LOCK_PROFILE);
static _Atomic(struct profile_stack *) stacks;
static _Atomic(struct profile_place *) places;
static struct profile_stack *stacks_by_hash[HASHES];
static struct profile_place *places_by_hash[HASHES];
static char *room, *room_end; /* of a chunk for records, which are kept for ever */

struct profile_stack *profile_stacks(void)
{
    return atomic_load_explicit(&stacks, memory_order_acquire);
}

struct profile_place *profile_places(void)
{
    return atomic_load_explicit(&places, memory_order_acquire);
}

void profile_lock(void)
{
    lock_acquire_again(&lock);
}

void profile_unlock(void)
{
    lock_release_again(&lock);
}

bool profile_start(uint64_t rate)
{
    if (!profile_frames_prepare())
        return false;
    sample_start(SAMPLING_PROFILE, rate);
    return true;
}

void profile_stop(void)
{
    sample_stop(SAMPLING_PROFILE);
}

/* ---- Records, under the lock ---- */

static void *keep(size_t bytes)
{
    if ((size_t)(room_end - room) < bytes) {
        room = guard_map(NH_META_CHUNK);
        room_end = room != NULL ? room + NH_META_CHUNK : NULL;
        if (room == NULL)
            return NULL;
    }
    void *record = room;
    room += bytes;
    return record;
}

static uint64_t mix(uint64_t hash, uintptr_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static bool add_place(uintptr_t address)
{
    struct profile_place **head = &places_by_hash[mix(0, address) % HASHES];
    for (struct profile_place *at = *head; at != NULL; at = at->next_of_hash)
        if (at->address == address)
            return true;
    struct profile_place *place = keep(sizeof *place);
    if (place == NULL)
        return false;
    *place =
        (struct profile_place){.next = profile_places(), .next_of_hash = *head, .address = address};
    *head = place;
    atomic_store_explicit(&places, place, memory_order_release);
    return true;
}

static struct profile_stack *find_stack(const uintptr_t *frames, unsigned depth)
{
    uint64_t hash = depth;
    for (unsigned i = 0; i < depth; i++)
        hash = mix(hash, frames[i]);
    size_t bytes = depth * sizeof *frames;
    struct profile_stack **head = &stacks_by_hash[hash % HASHES];
    for (struct profile_stack *at = *head; at != NULL; at = at->next_of_hash)
        if (at->hash == hash && at->depth == depth && memcmp(at->frame, frames, bytes) == 0)
            return at;
    for (unsigned i = 0; i < depth; i++)
        if (!add_place(frames[i]))
            return NULL;
    struct profile_stack *stack = keep(sizeof *stack + bytes);
    if (stack == NULL)
        return NULL;
    *stack = (struct profile_stack){
        .next = profile_stacks(), .next_of_hash = *head, .hash = hash, .depth = depth};
    memcpy(stack->frame, frames, bytes);
    *head = stack;
    atomic_store_explicit(&stacks, stack, memory_order_release);
    return stack;
}

static struct profile_bucket *find_bucket(struct profile_stack *stack, unsigned slot,
                                          unsigned freed_from, unsigned life)
{
    struct profile_bucket *first = profile_buckets(stack);
    for (struct profile_bucket *at = first; at != NULL; at = at->next)
        if (at->slot == slot && at->freed_from == freed_from && at->life == life)
            return at;
    struct profile_bucket *bucket = keep(sizeof *bucket);
    if (bucket == NULL)
        return NULL;
    *bucket = (struct profile_bucket){.next = first,
                                      .stack = stack,
                                      .slot = (uint8_t)slot,
                                      .freed_from = (uint8_t)freed_from,
                                      .life = (uint8_t)life};
    atomic_store_explicit(&stack->first, bucket, memory_order_release);
    return bucket;
}

/* ---- Samples ---- */

/* Modulo 2^64, so that less can be added, too. */
static void add(struct profile_bucket *bucket, uint64_t objects, uint64_t bytes, uint64_t samples)
{
    atomic_fetch_add_explicit(&bucket->objects, objects, memory_order_relaxed);
    atomic_fetch_add_explicit(&bucket->bytes, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&bucket->samples, samples, memory_order_relaxed);
}

static void count_in(struct profile_bucket *bucket, const struct profile_ticket *ticket)
{
    add(bucket, ticket->objects, ticket->bytes, 1);
}

static void count_out(struct profile_bucket *bucket, const struct profile_ticket *ticket)
{
    add(bucket, -ticket->objects, -ticket->bytes, UINT64_MAX);
}

/* What an object of `bytes` stands for that was chosen for `weighed` bytes of line. */
static void weigh(struct profile_ticket *ticket, size_t bytes, size_t weighed)
{
    double stands_for = 1 / sampling_chance(SAMPLING_PROFILE, weighed);
    ticket->objects = (uint64_t)(stands_for * PROFILE_UNIT + 0.5);
    ticket->bytes = (uint64_t)(stands_for * (double)bytes + 0.5);
    ticket->size = bytes;
}

/* Without memory for its records an object is as if it were not sampled. */
void profile_take(void *object, size_t bytes, size_t weighed)
{
    uintptr_t frames[PROFILE_FRAMES];
    unsigned depth = profile_frames_take(frames, PROFILE_FRAMES);
    struct special *special = special_new(object, SPECIAL_SAMPLE);
    if (special == NULL)
        return;
    unsigned slot = special->slot;
    lock_acquire(&lock);
    struct profile_stack *stack = find_stack(frames, depth);
    struct profile_bucket *bucket =
        stack != NULL ? find_bucket(stack, slot, slot, PROFILE_LIVE) : NULL;
    lock_release(&lock);
    if (bucket == NULL) {
        special_drop(special);
        return;
    }
    special->ticket =
        (struct profile_ticket){.bucket = bucket, .born_ns = os_clock_ns(CLOCK_MONOTONIC)};
    weigh(&special->ticket, bytes, weighed);
    count_in(bucket, &special->ticket);
    (void)special_link(special, object);
}

void profile_large(void *object, size_t bytes, size_t fresh)
{
    if (!profile_frames_busy() && sampling_hit(fresh) &&
        (sampling_whose(fresh) & 1U << SAMPLING_PROFILE) != 0)
        profile_take(object, bytes, bytes);
}

void profile_grown(struct profile_ticket *ticket, size_t bytes)
{
    struct profile_ticket was = *ticket;
    weigh(ticket, bytes, bytes);
    add(ticket->bucket, ticket->objects - was.objects, ticket->bytes - was.bytes, 0);
}

void profile_freed(const struct profile_ticket *ticket)
{
    unsigned life = 0;
    for (uint64_t ms = (os_clock_ns(CLOCK_MONOTONIC) - ticket->born_ns) / 1000000;
         ms != 0 && life < PROFILE_LIVES - 1; ms /= 10)
        life++;
    unsigned from = cache_present_slot();
    struct profile_bucket *live = ticket->bucket;
    lock_acquire(&lock);
    struct profile_bucket *bucket = find_bucket(live->stack, live->slot, from, life);
    lock_release(&lock);
    if (bucket != NULL) /* else it is forgotten */
        count_in(bucket, ticket);
    count_out(live, ticket);
}
