/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * special.c - see special.h: a hash table by page, in shards with a lock each.
 *
 * A bucket's chain is sorted by address, so all of a page stand together in it, and
 * whether a page has another record shows at the neighbours of one.
 */
#include "special.h"

#include "bad_pointer.h"
#include "fast.h"
#include "guard.h"
#include "guard_map.h"
#include "harden.h"
#include "heap.h"
#include "large.h"

#include <errno.h>

#define SHARD_SHIFT 6
#define SHARDS      (1U << SHARD_SHIFT)

/* A shard doubles its buckets when it has this many records for each. */
#define CHAIN_MOST 2
/* Buckets that fill a page of the system; the only one before is in the shard. */
#define BUCKETS_FIRST (NH_SYSTEM_PAGE / sizeof(struct special *))

struct shard {
    struct lock lock;
    /* Guarded by lock: */
    struct special **bucket; /* NULL: `only` */
    struct special *only;
    size_t buckets; /* a power of two; 0 for `only` */
    size_t count;   /* records */
} __attribute__((aligned(NH_CACHE_LINE)));

static struct shard shards[SHARDS] = {
    [0 ... SHARDS - 1] = {.lock = LOCK_INIT(LOCK_SPECIAL)},
};

/* Mixed well enough that its high bits choose the shard and its low ones the bucket
 * (Fibonacci hashing, Knuth 6.4). */
static uint64_t hash_of(uintptr_t object)
{
    return (object >> NH_PAGE_SHIFT) * UINT64_C(0x9e3779b97f4a7c15);
}

static struct shard *shard_of(uintptr_t object)
{
    return &shards[hash_of(object) >> (64 - SHARD_SHIFT)];
}

static bool same_page(uintptr_t a, uintptr_t b)
{
    return (a ^ b) < NH_PAGE;
}

/* ---- Under a shard's lock ---- */

static struct special **bucket_of(struct shard *shard, uintptr_t object)
{
    if (shard->buckets == 0)
        return &shard->only;
    return &shard->bucket[hash_of(object) >> 32 & (shard->buckets - 1)];
}

/* Where a record of the object and kind is, or belongs. */
static struct special **place_of(struct shard *shard, uintptr_t object, enum special_kind kind)
{
    struct special **at = bucket_of(shard, object);
    while (*at != NULL &&
           ((*at)->object < object || ((*at)->object == object && (*at)->kind < kind)))
        at = &(*at)->next;
    return at;
}

static bool page_has_any(struct shard *shard, uintptr_t object)
{
    const struct special *at = *place_of(shard, round_down(object, NH_PAGE), SPECIAL_FINALIZER);
    return at != NULL && same_page(at->object, object);
}

/* Without memory the chains stay long. */
static void grow(struct shard *shard)
{
    struct shard larger = {.buckets = shard->buckets == 0 ? BUCKETS_FIRST : shard->buckets * 2};
    larger.bucket = guard_map(larger.buckets * sizeof(struct special *));
    if (larger.bucket == NULL)
        return;
    for (size_t i = 0; i == 0 || i < shard->buckets; i++) {
        struct special *next;
        for (struct special *at = shard->buckets == 0 ? shard->only : shard->bucket[i]; at != NULL;
             at = next) {
            next = at->next;
            struct special **to = place_of(&larger, at->object, at->kind);
            at->next = *to;
            *to = at;
        }
    }
    if (shard->buckets != 0)
        guard_discard(shard->bucket, shard->buckets * sizeof(struct special *));
    shard->bucket = larger.bucket;
    shard->buckets = larger.buckets;
}

/* ---- Home words ---- */

uint32_t special_home(uintptr_t address)
{
    struct span_view span;
    if (span_table_find(address, &span) != SPAN_FOUND || span.state != SPAN_IN_USE)
        return 0;
    /* As large.c, guard.c and central.c set them. */
    if (span.cls >= NH_CLASSES)
        return row_home(0, span.cls);
    return row_home(span.slot, harden_on() ? NH_CLASS_HARDENED : span.cls);
}

static void mark_page(uintptr_t object, bool special)
{
    uint32_t home = special_home(object);
    if (special)
        home = row_home(row_home_slot(home), NH_CLASS_SPECIAL);
    span_table_set_home_page(round_down(object, NH_PAGE), home);
}

bool special_may_have(const void *ptr)
{
    uintptr_t at = (uintptr_t)ptr;
    unsigned cls = row_home_class(object_home(ptr));
    struct span_view span;
    if (cls == 0 || cls == NH_CLASS_PAGES || span_table_find(at, &span) != SPAN_FOUND)
        return false;
    return span.cls >= NH_CLASSES ? at == span_view_object(&span)
                                  : (at - span.base) % span.bytes == 0;
}

/* ---- Records ---- */

struct special *special_new(const void *object, enum special_kind kind)
{
    const struct span *span = span_table_hint((uintptr_t)object);
    nh_require(span != NULL); /* the object is held */
    unsigned slot = span->slot;
    bool fresh;
    struct heap *heap = heap_if_exists(slot);
    struct special *special = heap_record(heap, &heap->specials, &fresh);
    if (special != NULL)
        *special = (struct special){.kind = kind, .slot = slot};
    return special;
}

void special_drop(struct special *special)
{
    fixalloc_put(&heap_if_exists(special->slot)->specials, special);
}

bool special_link(struct special *special, const void *object)
{
    uintptr_t address = (uintptr_t)object;
    struct shard *shard = shard_of(address);
    lock_acquire(&shard->lock);
    if (shard->count >= CHAIN_MOST * (shard->buckets == 0 ? 1 : shard->buckets))
        grow(shard);
    struct special **at = place_of(shard, address, special->kind);
    bool room = *at == NULL || (*at)->object != address || (*at)->kind != special->kind;
    if (room) {
        special->object = address;
        special->next = *at;
        *at = special;
        shard->count++;
        mark_page(address, true);
    }
    lock_release(&shard->lock);
    return room;
}

static struct special *take(struct shard *shard, struct special **at)
{
    struct special *special = *at;
    *at = special->next;
    shard->count--;
    if (!page_has_any(shard, special->object))
        mark_page(special->object, false);
    return special;
}

struct special *special_unlink(const void *object, enum special_kind kind)
{
    uintptr_t address = (uintptr_t)object;
    struct shard *shard = shard_of(address);
    lock_acquire(&shard->lock);
    struct special **at = place_of(shard, address, kind);
    bool found = *at != NULL && (*at)->object == address && (*at)->kind == kind;
    struct special *special = found ? take(shard, at) : NULL;
    lock_release(&shard->lock);
    return special;
}

size_t special_sampled_size(const void *object)
{
    uintptr_t address = (uintptr_t)object;
    struct shard *shard = shard_of(address);
    lock_acquire(&shard->lock);
    const struct special *at = *place_of(shard, address, SPECIAL_SAMPLE);
    size_t size = at != NULL && at->object == address ? at->ticket.size : 0;
    lock_release(&shard->lock);
    return size;
}

/* ---- free ---- */

/* The first record of an object, whatever its kind. */
static struct special *unlink_first(uintptr_t object)
{
    struct shard *shard = shard_of(object);
    lock_acquire(&shard->lock);
    struct special **at = place_of(shard, object, SPECIAL_FINALIZER);
    struct special *special = *at != NULL && (*at)->object == object ? take(shard, at) : NULL;
    lock_release(&shard->lock);
    return special;
}

void special_finalize(struct special *special, void *ptr)
{
    struct special it = *special;
    special_drop(special);
    int saved = errno;
    it.finalizer.fn(ptr, it.finalizer.arg);
    errno = saved;
}

static void settle(void *ptr)
{
    struct special *special;
    /* What a finalizer attaches to the object is dealt with, too. */
    while ((special = unlink_first((uintptr_t)ptr)) != NULL) {
        if (special->kind == SPECIAL_FINALIZER) {
            special_finalize(special, ptr);
            continue;
        }
        struct profile_ticket ticket = special->ticket;
        special_drop(special);
        int saved = errno;
        profile_freed(&ticket);
        errno = saved;
    }
}

bool special_free(void *ptr, uint32_t *home)
{
    if (row_home_class(*home) == NH_CLASS_SPECIAL) {
        settle(ptr);
        *home = special_home((uintptr_t)ptr);
        if (fast_push(*home, ptr))
            return true;
    }
    unsigned cls = row_home_class(*home);
    if (cls == NH_CLASS_LARGE)
        large_free(ptr);
    else if (cls == NH_CLASS_GUARD)
        guard_free(ptr);
    else if (cls == NH_CLASS_HARDENED)
        harden_free(ptr);
    else if (nh_unlikely(cls == 0 || cls == NH_CLASS_PAGES))
        bad_pointer_report("free", ptr);
    else
        return false;
    return true;
}

void special_lock_all(void)
{
    for (unsigned i = 0; i < SHARDS; i++)
        lock_acquire_again(&shards[i].lock);
}

void special_unlock_all(void)
{
    for (unsigned i = SHARDS; i-- > 0;)
        lock_release_again(&shards[i].lock);
}
