/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * calls.c - any sequence of calls, on several threads, against a model (shadow.h).
 *
 * The first byte of an input says how many threads there are, and whether they take turns
 * or go on side by side.  Then each call is four bytes: what, which object, and two for sizes
 * and the like.  Side by side threads wait for each other after some calls, and objects change
 * hands, so that no two have the same one.
 */
#include "call.h"
#include "fuzz.h"
#include "shadow.h"
#include "whole.h"

#include "../stamps.h"
#include "cxx.h"
#include "fast.h"
#include "nearheap.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#define THREADS_MOST 4
#define ROUND_CALLS  8 /* of a thread */

/* ---- Calls that make objects ---- */

static _Thread_local int fixed_node = SHADOW_ANY;

static void add_calloc(struct shadow *entry, size_t size, void *at)
{
    FUZZ_CHECK(!shadow_granted(at) || stamps_check_zero(at, size) == STAMPS_GOOD);
    shadow_add(entry, at, size, 16, fixed_node, SHADOW_OBJECT);
}

static void add_aligned(struct shadow *entry, const struct call *call)
{
    size_t size = call_size(call), alignment = (size_t)16 << (call->which >> 4);
    void *at = entry; /* left alone where it fails */
    int error;
    switch (call->what >> 4 & 3) {
    case 0:
        alignment /= 4;
        error = nh_posix_memalign(&at, alignment, size);
        FUZZ_CHECK(error == 0 || at == entry);
        FUZZ_CHECK((error == EINVAL) == (alignment < sizeof(void *)));
        if (error == EINVAL)
            return;
        errno = error;
        at = error == 0 ? at : NULL;
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
        if (at != NULL && (call->which & 0x10) == 0) /* whole pages, and never none */
            size = size == 0 ? alignment : (size + alignment - 1) / alignment * alignment;
    }
    shadow_add(entry, at, size, alignment, fixed_node, SHADOW_OBJECT);
    entry->alignment = alignment;
}

static void add_on_node(struct shadow *entry, const struct call *call)
{
    int node = call_node(call);
    size_t size = call_size(call);
    errno = 0;
    void *at =
        (call->what & 0x10) != 0 ? nh_calloc_on_node(1, size, node) : nh_malloc_on_node(size, node);
    if (call_is_node(node))
        shadow_add(entry, at, size, 16, node, SHADOW_OBJECT);
    else
        FUZZ_CHECK(at == NULL && errno == EINVAL);
}

static void add_pages(struct shadow *entry, const struct call *call)
{
    int node = call_node(call);
    size_t pages = call_size(call) / NH_PAGE_BYTES;
    errno = 0;
    void *at = nh_pages_alloc(pages, node);
    if (pages != 0 && (node == -1 || call_is_node(node)))
        shadow_add(entry, at, pages * NH_PAGE_BYTES, NH_PAGE_BYTES, node == -1 ? fixed_node : node,
                   SHADOW_PAGES);
    else
        FUZZ_CHECK(at == NULL && errno == EINVAL);
}

/* What operator new throws from; here it gives up. */
void *cxx_new_failed(size_t size)
{
    FUZZ_CHECK(size <= CALL_SIZE_MOST);
    errno = ENOMEM;
    return NULL;
}

static void add(struct shadow *entry, const struct call *call)
{
    size_t size = call_size(call);
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
    case 8:
        shadow_add(entry, fast_new(size), size, 16, fixed_node, SHADOW_OBJECT);
        break;
    default:
        shadow_add(entry, nh_malloc(size), size, 16, fixed_node, SHADOW_OBJECT);
    }
}

/* ---- Calls on objects ---- */

static void free_as_told(struct shadow *entry, unsigned how)
{
    if (entry->kind == SHADOW_PAGES)
        nh_pages_free(entry->at);
    else if (how == 1 && entry->alignment != 0)
        nh_free_aligned_sized(entry->at, entry->alignment, entry->size);
    else if (how == 1)
        nh_free_sized(entry->at, entry->size);
    else if (how == 2 && entry->alignment == 0)
        fast_free_sized(entry->at, entry->size); /* sized operator delete */
    else
        nh_free(entry->at);
}

static void drop(struct shadow *entry, const struct call *call)
{
    shadow_check(entry, call_size(call));
    errno = EXDEV;
    free_as_told(entry, call->what >> 4 & 3);
    FUZZ_CHECK(errno == EXDEV);
    shadow_freed(entry);
}

static void move(struct shadow *entry, const struct call *call)
{
    size_t size = call_size(call);
    if (entry->kind == SHADOW_PAGES)
        return;
    shadow_check(entry, size);
    if (size == 0) {
        FUZZ_CHECK(nh_realloc(entry->at, 0) == NULL);
        shadow_freed(entry);
        return;
    }
    void *at = (call->what & 0x10) != 0 ? nh_reallocarray(entry->at, size, 1)
                                        : nh_realloc(entry->at, size);
    if (shadow_granted(at))
        shadow_moved(entry, at, size);
    else
        shadow_check(entry, size);
}

/* To a size that cannot be: the object stays. */
static void move_too_far(struct shadow *entry, const struct call *call)
{
    if (entry->kind == SHADOW_PAGES)
        return;
    errno = 0;
    FUZZ_CHECK(nh_realloc(entry->at, SIZE_MAX / 2 + 1 + call_size(call)) == NULL &&
               errno == ENOMEM);
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
        shadow_check(entry, call_size(call));
        break;
    case 6:
        move_too_far(entry, call);
        break;
    default:
        drop(entry, call);
    }
}

static void do_call(struct shadow *entry, const struct call *call)
{
    errno = 0;
    if (whole_is(call))
        whole_call(call, &fixed_node);
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
    shadow_check_none();
    whole_restore();
    (void)nh_set_thread_node(-1);
    fixed_node = SHADOW_ANY;
    return 0;
}
