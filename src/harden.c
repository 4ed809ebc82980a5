/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * harden.c - see harden.h.
 *
 * Nothing here keeps a lock while it looks at or writes an object.  Of two threads that free
 * one object, the exchange of its check word decides.
 */
#include "harden.h"

#include "bad_pointer.h"
#include "cache.h"
#include "check_word.h"
#include "fast.h"
#include "keystream.h"
#include "large.h"
#include "log.h"
#include "lookup.h"
#include "memcheck.h"
#include "options.h"
#include "os.h"
#include "probe.h"
#include "quarantine.h"
#include "row.h"
#include "sample.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

/* The least byte that room behind objects is filled with. */
#define FILL_LEAST 0x80U
/* What a freed object holds while it waits: as an address it is nobody's. */
#define PATTERN 0xdf

/* Allocations between two looks at what time has for the heap to do. */
#define TICK_ALLOCATIONS 64

struct harden {
    struct lock lock;
    /* Guarded by lock: */
    unsigned begun_in; /* generation of the process when `random` was begun */
    struct keystream random;
    struct quarantine quarantine;
};

static struct check_secret secret; /* constant after boot */

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
    for (unsigned i = 0; i < 2; i++) {
        secret.key[i] = keystream_draw(&random);
        secret.key[i] = secret.key[i] << 32 | keystream_draw(&random);
    }
    /* No byte of ASCII text, nor its end: what runs over most often is always seen. */
    secret.fill = (uint8_t)(FILL_LEAST + keystream_below(keystream_draw(&random), FILL_LEAST));
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

/* ---- Objects ---- */

/* A place for an object of a size class. */
struct place {
    char *object;
    size_t room; /* bytes before the check word */
    const struct span *span;
    unsigned index; /* in it */
};

static _Atomic uint64_t *word_at(const struct place *at)
{
    return (_Atomic uint64_t *)(void *)(at->object + at->room);
}

static uint64_t word_of(const struct place *at, unsigned unused)
{
    return check_word_make(&secret, (uintptr_t)at->object, unused);
}

/* False when none begins there. */
static bool find_place(const void *ptr, struct place *at)
{
    const struct span *span = span_table_hint((uintptr_t)ptr);
    if (nh_unlikely(span == NULL || span_state(span) != SPAN_IN_USE || span->objects == 0))
        return false;
    size_t offset = (uintptr_t)ptr - span->base;
    unsigned index = size_class_index(span->index_magic, offset);
    *at = (struct place){.object = (char *)(uintptr_t)ptr,
                         .room = span->bytes - CHECK_WORD_BYTES,
                         .span = span,
                         .index = index};
    return (size_t)index * span->bytes == offset && index < span->objects;
}

/* Nearly always they are. */
static bool all_are(const char *from, size_t bytes, uint8_t byte)
{
    return bytes == 0 || ((uint8_t)*from == byte && memcmp(from, from + 1, bytes - 1) == 0);
}

/* The first of `bytes` that is not `byte`; `bytes` when all are. */
static size_t first_other(const char *from, size_t bytes, uint8_t byte)
{
    size_t i = all_are(from, bytes, byte) ? bytes : 0;
    while (i < bytes && (uint8_t)from[i] == byte)
        i++;
    return i;
}

/* The first byte that is another than in a free object that is filled with `fill` and ends
 * with that check word; all its bytes when none is. */
static size_t first_disturbed(const struct place *at, uint8_t fill, uint64_t check_word)
{
    size_t first = first_other(at->object, at->room, fill);
    if (nh_unlikely(first != at->room))
        return first;
    uint64_t differ = atomic_load_explicit(word_at(at), memory_order_relaxed) ^ check_word;
    /* The processors that we run on have the low byte first. */
    return first + (differ != 0 ? (size_t)__builtin_ctzll(differ) / CHAR_BIT : CHECK_WORD_BYTES);
}

/* ---- What is found ---- */

/* False when nothing is to be said of it. */
static bool begin_report(const char *call, const void *ptr)
{
    probe_bad_free(ptr, call);
    return options_get(OPT_BAD_FREE) != BAD_FREE_IGNORE;
}

static NH_SLOW void report_fill(const char *call, const struct place *at, size_t size, size_t where)
{
    if (!begin_report(call, at->object))
        return;
    bad_pointer_line("bad %s of %p: written behind an object of %zu bytes: 0x%02x at byte %zu",
                     call, (void *)at->object, size, (uint8_t)at->object[where], where);
    bad_pointer_act(at->object);
}

static NH_SLOW void report_word(const char *call, const struct place *at, uint64_t word)
{
    if (!begin_report(call, at->object))
        return;
    bad_pointer_line(
        "bad %s of %p: written behind an object of at most %zu bytes: its check word is "
        "0x%016" PRIx64,
        call, (void *)at->object, at->room, word);
    bad_pointer_act(at->object);
}

static NH_SLOW void report_write(const struct place *at, size_t where)
{
    if (!begin_report("write", at->object))
        return;
    bad_pointer_line(
        "bad write to %p: already free: an object of at most %zu bytes has 0x%02x at byte %zu",
        (void *)at->object, at->room, (uint8_t)at->object[where], where);
    bad_pointer_act(at->object);
}

/* Whether the word is that of a live object; how many of its bytes are unused.  One that was
 * never given out, or has left quarantine, has the word 0. */
static bool is_live(const char *call, const struct place *at, uint64_t word, unsigned *unused)
{
    *unused = check_word_unused(&secret, word);
    if (nh_likely(*unused <= at->room && word == word_of(at, *unused)))
        return true;
    if (call == NULL)
        return false;
    if (word == word_of(at, CHECK_WORD_FREE) ||
        (word == 0 && lookup_bit(&at->span->bits, at->index)))
        bad_pointer_report(call, at->object);
    else
        report_word(call, at, word);
    return false;
}

static bool check(const char *call, const struct place *at, uint64_t word)
{
    unsigned unused;
    if (!is_live(call, at, word, &unused))
        return false;
    size_t size = at->room - unused;
    size_t other = size + first_other(at->object + size, unused, secret.fill);
    if (nh_unlikely(other != at->room)) {
        report_fill(call, at, size, other);
        memset(at->object + size, secret.fill, unused); /* it is told once */
    }
    return true;
}

bool harden_check(const char *call, const void *ptr)
{
    struct place at;
    if (nh_unlikely(!find_place(ptr, &at))) {
        bad_pointer_report(call, ptr);
        return false;
    }
    return check(call, &at, atomic_load_explicit(word_at(&at), memory_order_relaxed));
}

size_t harden_usable_size(const void *ptr)
{
    struct place at;
    unsigned unused;
    if (!find_place(ptr, &at))
        return 0;
    uint64_t word = atomic_load_explicit(word_at(&at), memory_order_relaxed);
    return is_live(NULL, &at, word, &unused) ? at.room - unused : at.room;
}

bool harden_has_size(const void *ptr, size_t size)
{
    struct place at;
    unsigned unused;
    return !find_place(ptr, &at) ||
           !is_live(NULL, &at, atomic_load_explicit(word_at(&at), memory_order_relaxed), &unused) ||
           size == at.room - unused;
}

/* ---- malloc ---- */

static void set_size(const struct place *at, size_t size)
{
    unsigned unused = (unsigned)(at->room - size);
    memset(at->object + size, secret.fill, unused);
    atomic_store_explicit(word_at(at), word_of(at, unused), memory_order_relaxed);
}

/* A free object, which becomes one of `size` bytes. */
static void give_out(void *object, size_t size)
{
    struct place at;
    nh_require(find_place(object, &at));
    size_t other = first_disturbed(&at, 0, 0);
    if (nh_unlikely(other != at.span->bytes)) {
        report_write(&at, other);
        memset(at.object, 0, at.room);
    }
    set_size(&at, size);
}

void harden_shrink(void *ptr, size_t size)
{
    struct place at;
    nh_require(find_place(ptr, &at));
    set_size(&at, size);
}

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
        give_out(object, size);
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
static void leave(struct heap *heap, void *object)
{
    struct place at;
    nh_require(find_place(object, &at));
    size_t other = first_disturbed(&at, PATTERN, word_of(&at, CHECK_WORD_FREE));
    if (nh_unlikely(other != at.span->bytes))
        report_write(&at, other);
    memset(at.object, 0, at.room);
    atomic_store_explicit(word_at(&at), 0, memory_order_relaxed);
    central_put(heap_central(heap, at.span->cls), &object, 1);
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
    struct place at;
    if (nh_unlikely(!find_place(ptr, &at))) {
        bad_pointer_report("free", ptr);
        return;
    }
    uint64_t word = atomic_load_explicit(word_at(&at), memory_order_relaxed);
    do {
        /* Of which it is not known what it is stays as it is for ever. */
        if (nh_unlikely(!check("free", &at, word)))
            return;
    } while (!atomic_compare_exchange_strong_explicit(word_at(&at), &word,
                                                      word_of(&at, CHECK_WORD_FREE),
                                                      memory_order_relaxed, memory_order_relaxed));
    memset(at.object, PATTERN, at.room);
    struct heap *heap = heap_if_exists(at.span->slot);
    cache_count_free(heap);
    detain(heap,
           &(struct quarantined){.object = ptr, .bytes = at.span->bytes, .cls = at.span->cls});
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
