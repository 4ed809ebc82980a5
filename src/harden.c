/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * harden.c - see harden.h.
 *
 * Nothing here keeps a lock while it looks at or writes an object.
 */
#include "harden.h"

#include "bad_pointer.h"
#include "cache.h"
#include "check_word.h"
#include "fast.h"
#include "harden_object.h"
#include "keystream.h"
#include "large.h"
#include "log.h"
#include "memcheck.h"
#include "options.h"
#include "os.h"
#include "quarantine.h"
#include "row.h"
#include "sample.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

/* Allocations between two looks at what time has for the heap to do. */
#define TICK_ALLOCATIONS 64

struct harden {
    struct lock lock;
    /* Guarded by lock: */
    unsigned begun_in; /* generation of the process when `random` was begun */
    struct keystream random;
    struct quarantine quarantine;
};

/* ---- Random numbers ---- */

/* Without the system's: what it gave the process at its start, and what differs between
 * processes and calls.  The first block made of it is no more than that is. */
static NH_SLOW void seed_poorly(uint32_t seed[KEYSTREAM_WORDS])
{
    const void *given = (const void *)getauxval(AT_RANDOM); /* 16 bytes */
    if (given != NULL)
        memcpy(seed, given, 4 * sizeof(*seed));
    uint64_t now = os_clock_ns(CLOCK_MONOTONIC);
    seed[4] = (uint32_t)now;
    seed[5] = (uint32_t)(now >> 32);
    seed[6] = (uint32_t)getpid();
    seed[7] = (uint32_t)(uintptr_t)seed;
}

/* Whether they come from the system. */
static bool begin_random(struct keystream *random)
{
    uint32_t seed[KEYSTREAM_WORDS] = {0};
    bool good = os_random(seed, sizeof(seed));
    if (nh_unlikely(!good))
        seed_poorly(seed);
    keystream_init(random, seed);
    return good;
}

/* Forks from the first process to this one; written while it has one thread. */
static NH_TOGETHER unsigned generation;

/* A new heap's, or what the process's parent began.  It may be free that draws, which keeps
 * errno. */
static NH_SLOW void begin_anew(struct harden *own)
{
    int saved = errno;
    own->begun_in = generation; /* before: a fork may come */
    (void)begin_random(&own->random);
    errno = saved;
}

static uint32_t draw_locked(struct harden *own)
{
    if (nh_unlikely(own->begun_in != generation))
        begin_anew(own);
    return keystream_draw(&own->random);
}

static uint32_t draw(struct harden *own)
{
    lock_acquire(&own->lock);
    uint32_t drawn = draw_locked(own);
    lock_release(&own->lock);
    return drawn;
}

/* ---- Beginning ---- */

void harden_boot(void)
{
    if (options_get(OPT_HARDEN) == 0)
        return;
    if (memcheck_is_here()) {
        log_line(LOG_WARNING, "NEARHEAP_HARDEN is off under memcheck, which looks at more");
        return;
    }
    struct keystream random;
    if (!begin_random(&random))
        log_line(LOG_WARNING, "getrandom is refused: what NEARHEAP_HARDEN does by chance can be "
                              "foretold by who knows the process's beginning");
    harden_object_boot(&random);
    atomic_store_explicit(&harden_active, true, memory_order_relaxed);
    fast_use_harden();
}

struct harden *harden_heap_new(unsigned slot)
{
    struct harden *own = heap_memory(slot, sizeof(struct harden));
    if (own == NULL)
        return NULL;
    lock_init(&own->lock, LOCK_HARDEN);
    begin_anew(own);
    return own;
}

/* ---- Of a pointer ---- */

bool harden_check(const char *call, const void *ptr)
{
    struct harden_object object;
    if (nh_likely(harden_object_find(ptr, &object)))
        return harden_object_check(call, &object);
    bad_pointer_report(call, ptr);
    return false;
}

size_t harden_usable_size(const void *ptr)
{
    struct harden_object object;
    if (!harden_object_find(ptr, &object))
        return 0;
    size_t size;
    return harden_object_size(&object, &size) ? size : object.room;
}

bool harden_has_size(const void *ptr, size_t size)
{
    struct harden_object object;
    size_t has;
    return !harden_object_find(ptr, &object) || !harden_object_size(&object, &has) || size == has;
}

void harden_shrink(void *ptr, size_t size)
{
    struct harden_object object;
    nh_require(harden_object_find(ptr, &object));
    harden_object_set_size(&object, size);
}

/* ---- malloc ---- */

/* `alignment` is a power of two; `size` at most NH_CLASS_MAX. */
static void *alloc(struct heap *heap, size_t size, size_t alignment)
{
    size_t all = size + CHECK_WORD_BYTES;
    unsigned cls = alignment <= NH_GRAIN ? size_class_of(all) : size_class_aligned(all, alignment);
    if (cls == 0) {
        bool zeroed;
        return large_alloc(heap, size, alignment, &zeroed);
    }
    if (nh_thread.exchanges++ % TICK_ALLOCATIONS == 0)
        (void)heap_tick(heap);
    void *object = sample_alloc_on(heap, size, alignment, size_class_bytes(cls));
    if (nh_unlikely(object != NULL))
        return object;
    struct central *central = heap_central(heap, cls);
    object = central_take_random(central, draw(heap->harden));
    if (nh_unlikely(object == NULL) && harden_drain())
        object = central_take_random(central, draw(heap->harden));
    if (nh_likely(object != NULL))
        harden_object_give_out(object, size);
    return object;
}

void *harden_alloc(struct heap *heap, size_t size)
{
    return alloc(heap, size, NH_GRAIN);
}

void *harden_malloc(size_t size)
{
    if (size > NH_CLASS_MAX)
        return fast_malloc_large(size);
    struct heap *heap = cache_heap();
    void *object = heap != NULL ? alloc(heap, size, NH_GRAIN) : NULL;
    return nh_likely(object != NULL) ? object : fast_out_of_memory();
}

void *harden_malloc_class(size_t alignment, size_t size, unsigned cls)
{
    (void)cls; /* with the check word it may be another */
    struct heap *heap = cache_heap();
    return heap != NULL ? alloc(heap, size, alignment) : NULL;
}

/* ---- free ---- */

/* What leaves quarantine goes back to its span. */
static void leave(struct heap *heap, void *ptr)
{
    struct harden_object object;
    nh_require(harden_object_find(ptr, &object));
    harden_object_leave(&object);
    central_put(heap_central(heap, object.span->cls), &ptr, 1);
}

static void detain(struct heap *heap, const struct quarantined *in)
{
    struct harden *own = heap->harden;
    bool done;
    do {
        struct quarantined out;
        lock_acquire(&own->lock);
        done = quarantine_put(&own->quarantine, in, draw_locked(own), &out);
        lock_release(&own->lock);
        if (out.object != NULL)
            leave(heap, out.object);
    } while (!done);
}

void harden_free(void *ptr)
{
    struct harden_object object;
    if (nh_unlikely(!harden_object_find(ptr, &object))) {
        bad_pointer_report("free", ptr);
        return;
    }
    if (nh_unlikely(!harden_object_free(&object)))
        return;
    const struct span *span = object.span;
    struct heap *heap = heap_if_exists(span->slot);
    cache_count_free(heap);
    detain(heap, &(struct quarantined){.object = ptr, .bytes = span->bytes, .cls = span->cls});
}

/* ---- All heaps ---- */

static struct harden *of_slot(unsigned slot)
{
    struct heap *heap = heap_if_exists(slot);
    return heap != NULL ? heap->harden : NULL;
}

/* Others may put more in meanwhile. */
static bool drain(struct heap *heap)
{
    struct harden *own = heap->harden;
    bool any = false;
    for (unsigned i = 0; i < NH_QUARANTINE_OBJECTS; i++) {
        struct quarantined out;
        lock_acquire(&own->lock);
        bool more = quarantine_take(&own->quarantine, 0, &out);
        lock_release(&own->lock);
        if (!more)
            break;
        leave(heap, out.object);
        any = true;
    }
    return any;
}

bool harden_drain(void)
{
    bool any = false;
    for (unsigned slot = 0; slot < NH_HEAPS; slot++)
        if (of_slot(slot) != NULL)
            any |= drain(heap_if_exists(slot));
    return any;
}

void harden_count(const struct heap *heap, uint64_t objects[NH_CLASSES])
{
    struct harden *own = heap->harden;
    if (own == NULL)
        return;
    lock_acquire(&own->lock);
    for (unsigned cls = 1; cls < NH_CLASSES; cls++)
        objects[cls] += own->quarantine.of_class[cls];
    lock_release(&own->lock);
}

void harden_each_object(void (*fn)(void *object, void *arg), void *arg)
{
    for (unsigned slot = 0; slot < NH_HEAPS; slot++) {
        struct harden *own = of_slot(slot);
        if (own == NULL)
            continue;
        lock_acquire(&own->lock);
        for (size_t i = 0; i < own->quarantine.count; i++)
            fn(own->quarantine.held[i].object, arg);
        lock_release(&own->lock);
    }
}

void harden_fork_lock(const struct heap *heap)
{
    if (heap->harden != NULL)
        lock_acquire(&heap->harden->lock);
}

void harden_lock_all(void)
{
    for (unsigned slot = 0; slot < NH_HEAPS; slot++)
        if (of_slot(slot) != NULL)
            lock_acquire_again(&of_slot(slot)->lock);
}

void harden_unlock_all(void)
{
    for (unsigned slot = NH_HEAPS; slot-- > 0;)
        if (of_slot(slot) != NULL)
            lock_release_again(&of_slot(slot)->lock);
}

/* Nothing begins anew here: a number may be being drawn, or a heap made (process.c). */
void harden_fork_child(void)
{
    generation++;
}
