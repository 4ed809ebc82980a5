/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * profile.h - the sampling heap profile: for each call stack what was allocated there,
 * on which node, and what of it was freed, by threads of which node and how long after.
 *
 * sampling.h says which allocations are sampled.  A sampled object of a size class gets
 * a span of its own (sample.h), and a record (special.h) that is found when it is freed; so
 * all others are allocated and freed as ever.  What was counted is kept for the life of the
 * process, and only added to: a reader needs no lock, and may interrupt a writer.
 *
 * Never calls malloc.
 */
#ifndef NH_PROFILE_H
#define NH_PROFILE_H

#include "sampling.h"

/* Whether samples are taken: then what walks stacks is there. */
NH_INLINE bool profile_on(void)
{
    return sampling_for(SAMPLING_PROFILE);
}

/* Samples from now on, at a mean distance of `rate` bytes; false when there is nothing to
 * walk stacks with.  Calls dlopen: with no lock held, and not on the malloc path. */
bool profile_start(uint64_t rate);
void profile_stop(void);

/* Takes the object, which was allocated with a span of its own, as a sample: it has `bytes`, and
 * was chosen for `weighed` bytes of line. */
void profile_take(void *object, size_t bytes, size_t weighed);
/* A large object of `bytes` was allocated, or one that is not sampled grew: samples it if
 * it is chosen for the `fresh` bytes. */
NH_SLOW void profile_large(void *object, size_t bytes, size_t fresh);

/* What a sampled object's record says. */
struct profile_ticket {
    struct profile_bucket *bucket; /* where it is counted while it is live */
    uint64_t objects;              /* that it stands for, times PROFILE_UNIT */
    uint64_t bytes;                /* that it stands for */
    uint64_t born_ns;
    size_t size; /* of the object */
};
#define PROFILE_UNIT 1024

/* The object of a ticket grew to `bytes`: it stays a sample of the stack that allocated it,
 * and stands for fewer, of more bytes. */
void profile_grown(struct profile_ticket *ticket, size_t bytes);
/* The object of a ticket is freed by the calling thread. */
void profile_freed(const struct profile_ticket *ticket);

/* ---- What was counted: for profile_write.c, from any context ---- */

#define PROFILE_FRAMES 64

/* Lifetimes are told by powers of ten of milliseconds: below 1, below 10 ... */
#define PROFILE_LIVES 7
#define PROFILE_LIVE  PROFILE_LIVES /* not freed yet */

/* Objects of a stack that share all that follows; counters relaxed. */
struct profile_bucket {
    struct profile_bucket *next; /* of the same stack; constant, as all but the counters */
    struct profile_stack *stack;
    uint8_t slot;       /* heap of the objects */
    uint8_t freed_from; /* slot of the threads that freed them */
    uint8_t life;
    _Atomic uint64_t objects; /* times PROFILE_UNIT */
    _Atomic uint64_t bytes;
    _Atomic uint64_t samples;
};

struct profile_stack {
    struct profile_stack *next, *next_of_hash; /* constant */
    _Atomic(struct profile_bucket *) first;    /* release; pairs with who reads */
    uint64_t hash;
    unsigned depth;
    uintptr_t frame[]; /* addresses of calls, the innermost first */
};

/* An address that is in some stack. */
struct profile_place {
    struct profile_place *next, *next_of_hash; /* constant */
    uintptr_t address;
};

struct profile_stack *profile_stacks(void);
struct profile_place *profile_places(void);
NH_INLINE struct profile_bucket *profile_buckets(struct profile_stack *stack)
{
    return atomic_load_explicit(&stack->first, memory_order_acquire);
}

/* fork */
void profile_lock(void);
void profile_unlock(void);

/* ---- profile_frames.c ---- */

/* Finds what walks stacks, and uses it once, so that what it sets up at first is there;
 * false if there is none.  Calls dlopen. */
bool profile_frames_prepare(void);
/* Addresses of the calls that led here, this library's own left out; how many.  One at a
 * time in a thread, also by handlers of signals. */
unsigned profile_frames_take(uintptr_t *frames, unsigned most);
/* Whether the calling thread is in one of these: what it allocates meanwhile is the unwinder's,
 * and no sample. */
bool profile_frames_busy(void);

#endif
