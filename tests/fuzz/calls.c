/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * calls.c - any sequence of calls, on several threads, against a model (shadow.h).
 *
 * The first byte of an input says how many threads there are, and whether they take turns
 * or go on side by side.  Then each call is four bytes: what, which object, and two for sizes
 * and the like.  Side by side threads wait for each other after some calls, and objects change
 * hands, so that no two have the same one.
 */
#include "fuzz.h"
#include "shadow.h"

#include "../stamps.h"
#include "nearheap.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#define THREADS_MOST 4
#define CALL_BYTES   4
#define CALLS_MOST   400
#define ROUND_CALLS  8 /* of a thread */
#define SIZE_MOST    ((size_t)3 << 20)

struct call {
    uint8_t what, which, high, low;
};

/* Four scales, and as fine as the scale: most are small. */
static size_t size_of(const struct call *call)
{
    size_t number = (size_t)(call->high & 0x3f) << 8 | call->low;
    size_t size = number & 0x3ff;
    switch (call->high >> 6) {
    case 1:
        size = number;
        break;
    case 2:
        size = number * 16;
        break;
    case 3:
        size = number * 256;
        break;
    default:
        break;
    }
    return size < SIZE_MOST ? size : SIZE_MOST;
}

/* Numbers of nodes, and a few that are none. */
static int node_of(const struct call *call)
{
    return (int)(call->which >> 4) - 1;
}

static bool is_node(int node)
{
    return node >= 0 && node < nh_node_count();
}

/* ---- Calls that make objects ---- */

static _Thread_local int fixed_node = SHADOW_ANY;

static void add_calloc(struct shadow *entry, size_t size, void *at)
{
    FUZZ_CHECK(at != NULL && stamps_check_zero(at, size) == STAMPS_GOOD);
    shadow_add(entry, at, size, 16, fixed_node, SHADOW_OBJECT);
}

static void add_aligned(struct shadow *entry, const struct call *call)
{
    size_t size = size_of(call), alignment = (size_t)16 << (call->which >> 4);
    void *at = entry; /* left alone where it fails */
    switch (call->what >> 4 & 3) {
    case 0:
        FUZZ_CHECK(nh_posix_memalign(&at, alignment / 4, size) ==
                   (alignment / 4 < sizeof(void *) ? EINVAL : 0));
        if (alignment / 4 < sizeof(void *)) {
            FUZZ_CHECK(at == entry);
            return;
        }
        alignment /= 4;
        break;
    case 1:
        at = nh_aligned_alloc(alignment, size);
        break;
    case 2:
        at = nh_memalign(alignment, size);
        break;
    default:
        alignment = 4096;
        at = (call->which & 0x10) != 0 ? nh_valloc(size) : nh_pvalloc(size);
    }
    shadow_add(entry, at, size, alignment, fixed_node, SHADOW_OBJECT);
}

static void add_on_node(struct shadow *entry, const struct call *call)
{
    int node = node_of(call);
    size_t size = size_of(call);
    errno = 0;
    void *at =
        (call->what & 0x10) != 0 ? nh_calloc_on_node(1, size, node) : nh_malloc_on_node(size, node);
    if (is_node(node))
        shadow_add(entry, at, size, 16, node, SHADOW_OBJECT);
    else
        FUZZ_CHECK(at == NULL && errno == EINVAL);
}

static void add_pages(struct shadow *entry, const struct call *call)
{
    int node = node_of(call);
    size_t pages = size_of(call) / NH_PAGE_BYTES;
    errno = 0;
    void *at = nh_pages_alloc(pages, node);
    if (pages != 0 && (node == -1 || is_node(node)))
        shadow_add(entry, at, pages * NH_PAGE_BYTES, NH_PAGE_BYTES, node == -1 ? fixed_node : node,
                   SHADOW_PAGES);
    else
        FUZZ_CHECK(at == NULL && errno == EINVAL);
}

static void add(struct shadow *entry, const struct call *call)
{
    size_t size = size_of(call);
    switch (call->what & 15) {
    case 0:
        add_calloc(entry, size, nh_calloc(1, size));
        break;
    case 1:
        add_calloc(entry, (size / 7) * 7, nh_calloc(size / 7, 7));
        break;
    case 2:
    case 3:
        add_aligned(entry, call);
        break;
    case 4:
        add_on_node(entry, call);
        break;
    case 5:
        add_pages(entry, call);
        break;
    case 6:
        shadow_add(entry, nh_malloc_interleaved(size), size, NH_PAGE_BYTES, SHADOW_ANY,
                   SHADOW_OBJECT);
        break;
    case 7:
        shadow_add(entry, nh_reallocarray(NULL, size / 3, 3), size / 3 * 3, 16, fixed_node,
                   SHADOW_OBJECT);
        break;
    default:
        shadow_add(entry, nh_malloc(size), size, 16, fixed_node, SHADOW_OBJECT);
    }
}

/* ---- Calls on objects ---- */

static void drop(struct shadow *entry, const struct call *call)
{
    shadow_check(entry, size_of(call));
    errno = EXDEV;
    if (entry->kind == SHADOW_PAGES)
        nh_pages_free(entry->at);
    else if ((call->what & 0x10) != 0)
        nh_free_sized(entry->at, entry->size);
    else
        nh_free(entry->at);
    FUZZ_CHECK(errno == EXDEV);
    shadow_freed(entry);
}

static void move(struct shadow *entry, const struct call *call)
{
    size_t size = size_of(call);
    if (entry->kind == SHADOW_PAGES || size == 0)
        return;
    shadow_check(entry, size);
    void *at = (call->what & 0x10) != 0 ? nh_reallocarray(entry->at, size, 1)
                                        : nh_realloc(entry->at, size);
    FUZZ_CHECK(at != NULL);
    shadow_moved(entry, at, size);
}

/* To a size that cannot be: the object stays. */
static void move_too_far(struct shadow *entry, const struct call *call)
{
    if (entry->kind == SHADOW_PAGES)
        return;
    errno = 0;
    FUZZ_CHECK(nh_realloc(entry->at, SIZE_MAX / 2 + 1 + size_of(call)) == NULL && errno == ENOMEM);
    errno = 0;
    FUZZ_CHECK(nh_reallocarray(entry->at, SIZE_MAX / 2, 3) == NULL && errno == ENOMEM);
    shadow_check(entry, 1);
}

static void watch(struct shadow *entry)
{
    if (entry->kind == SHADOW_PAGES) {
        FUZZ_CHECK(nh_attach_finalizer(entry->at, shadow_finalizer, entry) == -1);
        return;
    }
    if (!entry->finalizer) {
        FUZZ_CHECK(nh_attach_finalizer(entry->at, shadow_finalizer, entry) == 0);
        entry->finalizer = true;
        return;
    }
    errno = 0;
    FUZZ_CHECK(nh_attach_finalizer(entry->at, shadow_finalizer, entry) == -1 && errno == EEXIST);
    FUZZ_CHECK(nh_detach_finalizer(entry->at) == 0);
    entry->finalizer = false;
}

static void use(struct shadow *entry, const struct call *call)
{
    switch (call->what & 15) {
    case 0:
    case 1:
    case 2:
    case 3:
        move(entry, call);
        break;
    case 4:
        watch(entry);
        break;
    case 5:
        shadow_check(entry, size_of(call));
        break;
    case 6:
        move_too_far(entry, call);
        break;
    default:
        drop(entry, call);
    }
}

/* ---- Calls on the whole ---- */

/* Addresses of all kinds, in and beside objects, and any. */
static void look_anywhere(const struct call *call)
{
    uintptr_t at = (uintptr_t)size_of(call) << (call->which & 0x3f);
    struct nh_object object = {.struct_size = sizeof(object)};
    FUZZ_CHECK(nh_lookup((const void *)at, &object) == 0);
    FUZZ_CHECK(object.what >= NH_NOTHING && object.what <= NH_REST);
    (void)nh_node_of((const void *)at);
}

static void fix_node(const struct call *call)
{
    int node = node_of(call);
    int done = nh_set_thread_node(node);
    FUZZ_CHECK(done == (node == -1 || is_node(node) ? 0 : -1));
    if (done == 0)
        fixed_node = node;
}

static void tend(const struct call *call)
{
    struct nh_placement placement = {.struct_size = sizeof(placement)};
    struct nh_pair_stats pair = {.struct_size = sizeof(pair)};
    switch (call->what >> 4 & 7) {
    case 0:
        (void)nh_malloc_trim(size_of(call));
        break;
    case 1:
        (void)nh_scavenge(is_node(node_of(call)) ? node_of(call) : -1);
        break;
    case 2:
        look_anywhere(call);
        break;
    case 3:
        fix_node(call);
        break;
    case 4:
        (void)nh_placement_audit(node_of(call), call->low, &placement);
        break;
    case 5:
        (void)nh_pair_stats_read(0, node_of(call), &pair);
        break;
    case 6:
        /* Samples at the least distance: every object has a chance. */
        if ((call->low & 1) != 0)
            FUZZ_CHECK(nh_profile_start((size_t)call->high * 64 + 1) == 0);
        else
            nh_profile_stop();
        break;
    default:
        FUZZ_CHECK(nh_malloc(SIZE_MAX - size_of(call)) == NULL);
        nh_free(NULL);
    }
}

static void do_call(struct shadow *entry, const struct call *call)
{
    if (call->what >= 0xf0 || (call->what & 0x8f) == 0x8f)
        tend(call);
    else if (entry->at == NULL)
        add(entry, call);
    else
        use(entry, call);
}

/* ---- Threads ---- */

static struct {
    const struct call *calls;
    size_t count;      /* calls of the input */
    size_t threads;    /* of this input */
    bool side_by_side; /* else one after another */
    pthread_barrier_t barrier;
    sem_t turn[THREADS_MOST];
} input;

/* The calls from `first` on, ROUND_CALLS of them, on objects whose numbers leave `rest`, or on
 * any for THREADS_MOST. */
static void do_round(size_t first, size_t rest)
{
    for (size_t i = first; i < first + ROUND_CALLS && i < input.count; i++) {
        size_t which = input.calls[i].which % SHADOW_OBJECTS;
        if (rest < THREADS_MOST)
            which = which / THREADS_MOST * THREADS_MOST + rest;
        do_call(&shadows[which], &input.calls[i]);
    }
}

/* In each round a thread has other objects than before, so that all meet all. */
static void *side_by_side(void *arg)
{
    size_t own = (size_t)(uintptr_t)arg, step = input.threads * ROUND_CALLS;
    for (size_t round = 0; round * step < input.count; round++) {
        do_round(round * step + own * ROUND_CALLS, (own + round) % THREADS_MOST);
        pthread_barrier_wait(&input.barrier);
    }
    return NULL;
}

/* libFuzzer's clock is a signal, which ends a wait. */
static void wait_for_turn(sem_t *turn)
{
    while (sem_wait(turn) != 0)
        FUZZ_CHECK(errno == EINTR);
}

static void *in_turn(void *arg)
{
    size_t own = (size_t)(uintptr_t)arg;
    for (size_t first = own * ROUND_CALLS; first < input.count;
         first += input.threads * ROUND_CALLS) {
        wait_for_turn(&input.turn[own]);
        do_round(first, THREADS_MOST);
        sem_post(&input.turn[(own + 1) % input.threads]);
    }
    return NULL;
}

static void play(void)
{
    pthread_t ids[THREADS_MOST];
    FUZZ_CHECK(pthread_barrier_init(&input.barrier, NULL, (unsigned)input.threads) == 0);
    for (size_t i = 0; i < input.threads; i++)
        FUZZ_CHECK(sem_init(&input.turn[i], 0, i == 0) == 0);
    for (size_t i = 1; i < input.threads; i++)
        FUZZ_CHECK(pthread_create(&ids[i], NULL, input.side_by_side ? side_by_side : in_turn,
                                  (void *)(uintptr_t)i) == 0);
    /* This is the first of them. */
    (void)(input.side_by_side ? side_by_side : in_turn)(NULL);
    for (size_t i = 1; i < input.threads; i++)
        FUZZ_CHECK(pthread_join(ids[i], NULL) == 0);
    pthread_barrier_destroy(&input.barrier);
    for (size_t i = 0; i < input.threads; i++)
        sem_destroy(&input.turn[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct call calls[CALLS_MOST];
    if (size < 1 + CALL_BYTES)
        return 0;
    /* Half of them alone, which is many times as fast. */
    input.threads = (data[0] & 1) == 0 ? 1U : 2U + (data[0] >> 1 & 1U) + (data[0] >> 3 & 1U);
    input.side_by_side = (data[0] & 4) != 0;
    input.count = (size - 1) / CALL_BYTES;
    if (input.count > CALLS_MOST)
        input.count = CALLS_MOST;
    memcpy(calls, data + 1, input.count * CALL_BYTES);
    input.calls = calls;
    play();
    shadow_check_all();
    for (size_t i = 0; i < SHADOW_OBJECTS; i++)
        if (shadows[i].at != NULL)
            drop(&shadows[i], &calls[0]);
    shadow_check_all();
    nh_profile_stop();
    (void)nh_set_thread_node(-1);
    fixed_node = SHADOW_ANY;
    return 0;
}
