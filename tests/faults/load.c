/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * load.c - see load.h.
 *
 * What is held is written down outside the heap, in slots that threads take for a moment
 * (`busy`).
 */
#include "load.h"

#include "inject.h"
#include "outside.h"

#include "../family.h"
#include "../stamps.h"
#include "nearheap.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOTS       768
#define LARGEST     ((size_t)6 << 20)
#define LADDER      160
#define THREADS_MAX 64

static struct slot {
    atomic_bool busy;
    unsigned char *at;
    size_t size;
    uint64_t seed;
    bool pages, finalized; /* not beside `busy`, with which compilers would read them */
} slots[SLOTS];

static struct {
    _Atomic uint64_t nulls, errors, corrupted, lost, untouched;
} counts;

static _Atomic uint64_t finalizers;

struct load_counts load_counts(void)
{
    return (struct load_counts){atomic_load(&counts.nulls), atomic_load(&counts.errors),
                                atomic_load(&counts.corrupted), atomic_load(&counts.lost),
                                atomic_load(&counts.untouched)};
}

void load_wrong(_Atomic uint64_t *count, const char *what, const void *at, uint64_t more)
{
    if (atomic_fetch_add(count, 1) < 3)
        dprintf(2, "faults: %s: %p (%#llx)\n", what, at, (unsigned long long)more);
}

static uint64_t next(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

static size_t below(uint64_t *state, size_t n)
{
    return (size_t)(next(state) % n);
}

static size_t pick_size(uint64_t *state)
{
    size_t kind = below(state, 100);
    size_t most = kind < 75 ? 1024 : kind < 90 ? 65536 : LARGEST;
    size_t bits = below(state, (size_t)(64 - __builtin_clzll(most)));
    size_t size = ((size_t)1 << bits) + below(state, (size_t)1 << bits);
    return size > most ? most : size;
}

/* ---- Contents ---- */

static void stamp(const struct slot *slot)
{
    stamps_write(slot->at, slot->size, slot->seed);
}

/* That the first `size` bytes of `at` are what was stamped at `was`. */
static void check_stamps(const unsigned char *at, size_t size, const unsigned char *was,
                         uint64_t seed)
{
    size_t wrong = stamps_check(at, size, was, seed);
    if (wrong != STAMPS_GOOD)
        load_wrong(&counts.corrupted, "contents changed", at, wrong);
}

static void check_zero(const unsigned char *at, size_t size)
{
    size_t wrong = stamps_check_zero(at, size);
    if (wrong != STAMPS_GOOD)
        load_wrong(&counts.corrupted, "calloc is not zero", at, wrong);
}

/* ---- Allocation ---- */

static bool refused(int error)
{
    if (error == ENOMEM)
        atomic_fetch_add(&counts.nulls, 1);
    else
        load_wrong(&counts.errors, "refused with another errno", NULL, (uint64_t)error);
    return false;
}

static void check_new(const struct slot *slot, size_t alignment)
{
    if ((uintptr_t)slot->at % alignment != 0)
        load_wrong(&counts.errors, "misaligned", slot->at, alignment);
    if (!slot->pages && malloc_usable_size(slot->at) < slot->size)
        load_wrong(&counts.errors, "too small", slot->at, slot->size);
}

static bool allocate(struct slot *slot, uint64_t *state)
{
    size_t size = pick_size(state);
    size_t alignment = 16;
    void *at = NULL;
    int error = 0;
    slot->pages = slot->finalized = false;
    errno = 0;
    switch (below(state, 10)) {
    case 0:
        at = calloc(1, size);
        if (at != NULL)
            check_zero(at, size);
        break;
    case 1:
        alignment = (size_t)16 << below(state, 10);
        error = posix_memalign(&at, alignment, size);
        break;
    case 2:
        alignment = (size_t)4096 << below(state, 11);
        at = memalign(alignment, size);
        break;
    case 3:
        at = nh_malloc_on_node(size, (int)below(state, (size_t)nh_node_count()));
        break;
    case 4:
        at = nh_malloc_interleaved(size);
        break;
    case 5:
        slot->pages = true;
        alignment = NH_PAGE_BYTES;
        size = (1 + below(state, 40)) * NH_PAGE_BYTES;
        at = nh_pages_alloc(size / NH_PAGE_BYTES, -1);
        break;
    default:
        at = malloc(size);
    }
    if (at == NULL)
        return refused(error != 0 ? error : errno);
    slot->at = at;
    slot->size = size;
    slot->seed = next(state);
    check_new(slot, alignment);
    stamp(slot);
    return true;
}

static void finalize(void *ptr, void *arg)
{
    (void)ptr, (void)arg;
    atomic_fetch_add(&finalizers, 1);
}

static void release(struct slot *slot)
{
    check_stamps(slot->at, slot->size, slot->at, slot->seed);
    uint64_t run = slot->finalized ? atomic_load(&finalizers) : 0;
    errno = EXDEV;
    if (slot->pages)
        nh_pages_free(slot->at);
    else
        free(slot->at);
    if (errno != EXDEV)
        load_wrong(&counts.errors, "free changed errno", slot->at, (uint64_t)errno);
    if (slot->finalized && atomic_load(&finalizers) == run)
        load_wrong(&counts.lost, "a finalizer did not run", slot->at, slot->size);
    slot->at = NULL;
}

static void resize(struct slot *slot, uint64_t *state)
{
    if (slot->pages)
        return;
    size_t size = below(state, 2) == 0 ? pick_size(state) : slot->size + slot->size / 2;
    if (size > LARGEST)
        size = LARGEST;
    const unsigned char *was = slot->at;
    errno = 0;
    unsigned char *at = realloc(slot->at, size);
    if (at == NULL) {
        (void)refused(errno); /* and the object is as it was */
        check_stamps(slot->at, slot->size, slot->at, slot->seed);
        return;
    }
    /* A word that is cut by the end is stamped in part. */
    size_t kept = slot->size < size ? slot->size : size;
    check_stamps(at, kept, was, slot->seed);
    slot->at = at;
    slot->size = size;
    check_new(slot, 16);
    stamp(slot);
}

static void attach(struct slot *slot)
{
    if (slot->pages || slot->finalized)
        return;
    errno = 0;
    slot->finalized = nh_attach_finalizer(slot->at, finalize, NULL) == 0;
    if (!slot->finalized)
        (void)refused(errno);
}

static int count_object(const struct nh_object *object, void *arg)
{
    (void)object, (void)arg;
    return 0;
}

/* What is done now and then. */
static void seldom(uint64_t *state)
{
    struct nh_placement placement = {.struct_size = sizeof(placement)};
    size_t nodes = (size_t)nh_node_count();
    switch (below(state, 8)) {
    case 0:
        (void)malloc_trim(below(state, 2) << 20);
        break;
    case 1:
        (void)nh_walk_objects(count_object, NULL);
        break;
    case 2:
        (void)nh_placement_audit(-1, 100, &placement);
        break;
    case 3:
        (void)nh_migrate_heap((int)below(state, nodes), (int)below(state, nodes), NULL);
        break;
    case 4:
        (void)nh_profile_write("/dev/null");
        break;
    case 5:
        (void)nh_set_thread_node((int)below(state, nodes + 1) - 1);
        break;
    default:
        (void)nh_scavenge(-1);
    }
}

/* Slots that are busy are somebody else's for the moment. */
static struct slot *take(size_t i)
{
    return atomic_exchange(&slots[i].busy, true) ? NULL : &slots[i];
}

static void give(struct slot *slot)
{
    atomic_store(&slot->busy, false);
}

static void step(uint64_t *state)
{
    struct slot *slot = take(below(state, SLOTS));
    if (slot == NULL)
        return;
    if (slot->at == NULL)
        (void)allocate(slot, state);
    else
        switch (below(state, 8)) {
        case 0:
        case 1:
            resize(slot, state);
            break;
        case 2:
            attach(slot);
            break;
        default:
            release(slot);
        }
    give(slot);
    if (below(state, 256) == 0)
        seldom(state);
}

struct work {
    uint64_t state;
    unsigned steps;
};

static void *work(void *arg)
{
    struct work *work = arg;
    for (unsigned i = 0; i < work->steps; i++)
        step(&work->state);
    return NULL;
}

void load_work(unsigned threads, unsigned steps)
{
    static struct work works[THREADS_MAX];
    static pthread_t ids[THREADS_MAX];
    static uint64_t state = 1;
    bool begun[THREADS_MAX];
    for (unsigned i = 0; i < threads; i++) {
        works[i] = (struct work){next(&state), steps};
        begun[i] = fault_thread(&ids[i], work, &works[i]);
        if (!begun[i])
            atomic_fetch_add(&counts.untouched, 1);
    }
    for (unsigned i = 0; i < threads; i++)
        if (begun[i])
            pthread_join(ids[i], NULL);
}

/* ---- At rest ---- */

void load_verify(void)
{
    for (size_t i = 0; i < SLOTS; i++) {
        const struct slot *slot = &slots[i];
        if (slot->at == NULL)
            continue;
        check_stamps(slot->at, slot->size, slot->at, slot->seed);
        struct nh_object object = {.struct_size = sizeof(object)};
        if (nh_lookup(slot->at, &object) != 0 ||
            object.what != (slot->pages ? NH_PAGES : NH_OBJECT) || object.object != slot->at ||
            object.size < slot->size)
            load_wrong(&counts.lost, "an object is not known", slot->at, (uint64_t)object.what);
    }
}

void load_release(unsigned one_of)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (slots[i].at != NULL && i % one_of == 0)
            release(&slots[i]);
}

unsigned load_ladder(void)
{
    static void *rung[LADDER];
    unsigned missing = 0;
    size_t size = 1;
    for (unsigned i = 0; i < LADDER; i++) {
        rung[i] = malloc(size);
        missing += rung[i] == NULL;
        size += size / 8 + 1;
        if (size > LARGEST)
            size = LARGEST;
    }
    for (unsigned i = 0; i < LADDER; i++)
        free(rung[i]);
    return missing;
}

bool load_fork(void)
{
    pid_t child = fork();
    if (child == 0) {
        uint64_t state = 42;
        for (unsigned i = 0; i < 500; i++)
            step(&state);
        (void)outside_ask();
        load_verify();
        struct load_counts found = load_counts();
        exit(found.corrupted + found.lost + found.errors != 0);
    }
    outside_adopt(child, true);
    int status = 1;
    return child < 0 || (waitpid(child, &status, 0) == child && status == 0);
}
