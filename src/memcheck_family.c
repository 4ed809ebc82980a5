/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * memcheck_family.c - see memcheck_family.h.
 */
#include "memcheck_family.h"

#include "cache.h"
#include "fast.h"
#include "heap.h"
#include "large.h"
#include "lookup.h"
#include "memcheck.h"
#include "nearheap.h"
#include "process.h"
#include "special.h"

#include <errno.h>
#include <string.h>

_Atomic(enum memcheck_mode) memcheck_mode;

/* ---- Whether, and how ---- */

/* Of those memcheck calls others, the callers' own bodies are never run: called by an
 * address that the compiler does not know, lest it copies one. */
static void *(*volatile const their_malloc)(size_t) = nh_malloc;
static void *(*volatile const their_memalign)(size_t, size_t) = nh_memalign;
static void *(*volatile const their_realloc)(void *, size_t) = nh_realloc;
static void (*volatile const their_free)(void *) = nh_free;

/* The thread that asks whose malloc is, and what it gets where that is ours.  Guarded by the
 * lock of boot; others that read it find that they are not the one. */
static const struct thread_state *_Atomic asking;
static char ours;

static bool replaces(void)
{
    atomic_store_explicit(&asking, &nh_thread, memory_order_relaxed);
    void *object = their_malloc(1);
    atomic_store_explicit(&asking, NULL, memory_order_relaxed);
    if (object == &ours)
        return false;
    their_free(object);
    return true;
}

void memcheck_boot(void)
{
    bool here = memcheck_is_here();
    enum memcheck_mode mode = MEMCHECK_OFF;
    if (here)
        mode = replaces() ? MEMCHECK_REPLACES : MEMCHECK_WATCHES;
    atomic_store_explicit(&memcheck_mode, mode, memory_order_relaxed);
    fast_begin(here);
}

void *memcheck_first_malloc(size_t size)
{
    if (atomic_load_explicit(&asking, memory_order_relaxed) == &nh_thread)
        return &ours;
    /* A static program's thread-local zeros lie behind its data, of which memcheck thinks
     * that nobody has written to it. */
    memcheck_show(&lock_depth, sizeof(lock_depth));
    process_boot();
    return nh_malloc(size);
}

void memcheck_first_free(void *ptr)
{
    if (ptr == NULL)
        return;
    process_boot();
    nh_free(ptr);
}

bool memcheck_decide(void)
{
    process_boot();
    return atomic_load_explicit(&memcheck_mode, memory_order_relaxed) != MEMCHECK_OFF;
}

static bool replaced(void)
{
    return atomic_load_explicit(&memcheck_mode, memory_order_relaxed) == MEMCHECK_REPLACES;
}

/* ---- Heads ---- */

/* At the beginning of the engine's object, out of bounds but while it is read or written.
 * Belongs to whoever has the object. */
struct head {
    size_t size;          /* of the program's object */
    size_t before;        /* bytes from here to it; 0: it was freed */
    struct head *younger; /* of what waits */
};

/* Bytes before an object: twice what memcheck takes for an object's surroundings, so that
 * it knows whose they are. */
#define BEFORE ((size_t)32)
NH_STATIC(sizeof(struct head) <= BEFORE && BEFORE % NH_GRAIN == 0, "objects are aligned");

static struct head head_read(const struct head *at)
{
    memcheck_show(at, sizeof(*at));
    struct head head = *at;
    memcheck_hide(at, sizeof(*at));
    return head;
}

static void head_write(struct head *at, struct head head)
{
    memcheck_show(at, sizeof(*at));
    *at = head;
    memcheck_hide(at, sizeof(*at));
}

/* The head of the object that begins at `ptr`, and what it says; NULL where none does. */
static struct head *head_of(const void *ptr, enum nh_what what, struct head *out)
{
    struct lookup at;
    lookup_address((uintptr_t)ptr, &at);
    if (at.what != what || (uintptr_t)ptr == at.object)
        return NULL;
    struct head *head = (struct head *)at.object;
    *out = head_read(head);
    return out->before == (uintptr_t)ptr - at.object ? head : NULL;
}

/* The engine's object, or NULL, becomes the program's. */
static void *give(void *object, size_t before, size_t size)
{
    if (nh_unlikely(object == NULL))
        return NULL;
    head_write(object, (struct head){.size = size, .before = before});
    char *at = (char *)object + before;
    memcheck_give(at, size);
    return at;
}

/* The engine's object of what the program frees, or NULL: then it was told why not. */
static void *take_back(void *ptr, enum nh_what what, struct head *head)
{
    struct head *object = head_of(ptr, what, head);
    if (object != NULL)
        head_write(object, (struct head){.size = head->size});
    memcheck_take(ptr);
    return object;
}

/* ---- What was freed waits ----
 * Longer than memcheck remembers who freed it (--freelist-vol, 20 million bytes): else it
 * would name who freed what was at the address before. */

#define WAITING_MOST ((size_t)24 << 20)
/* Larger ones do not wait: memcheck forgets them first. */
#define WAITING_LARGEST ((size_t)1 << 20)

static NH_TOGETHER struct lock queue_lock = LOCK_INIT(LOCK_MEMCHECK);
/* Guarded by it: */
static struct head *oldest, *youngest;
static size_t waiting; /* bytes */

static void enqueue(struct head *object, size_t size)
{
    head_write(object, (struct head){.size = size});
    lock_acquire(&queue_lock);
    if (oldest == NULL) {
        oldest = object;
    } else {
        struct head last = head_read(youngest);
        last.younger = object;
        head_write(youngest, last);
    }
    youngest = object;
    waiting += size;
    lock_release(&queue_lock);
}

/* The oldest where more wait than may; else NULL. */
static struct head *dequeue(void)
{
    struct head *object = NULL;
    lock_acquire(&queue_lock);
    if (waiting > WAITING_MOST) {
        object = oldest;
        struct head head = head_read(object);
        oldest = head.younger;
        waiting -= head.size;
    }
    lock_release(&queue_lock);
    return object;
}

static void free_now(struct head *object)
{
    if (row_home_class(span_table_home((uintptr_t)object)) == NH_CLASS_PAGES)
        large_pages_free(object);
    else
        cache_free_slow(object);
}

static void free_later(struct head *object, size_t size)
{
    if (size > WAITING_LARGEST) {
        free_now(object);
        return;
    }
    enqueue(object, size);
    while ((object = dequeue()) != NULL)
        free_now(object);
}

void memcheck_lock(void)
{
    lock_acquire_again(&queue_lock);
}

void memcheck_unlock(void)
{
    lock_release_again(&queue_lock);
}

/* ---- The family ---- */

/* An object of the engine's; of `heap`, or for NULL of the calling thread's. */
static void *take(struct heap *heap, size_t alignment, size_t bytes)
{
    bool small = alignment <= NH_CLASS_MAX && bytes <= NH_CLASS_MAX;
    unsigned cls = small ? size_class_aligned(bytes, alignment) : 0;
    if (cls != 0 && heap == NULL)
        return fast_malloc_class(alignment, bytes, cls);
    if (cls != 0 && heap->slot != NH_HEAP_INTERLEAVED)
        return central_take_one(heap_central(heap, cls));
    bool zeroed;
    struct heap *from = heap != NULL ? heap : large_heap(bytes);
    return from != NULL ? large_alloc(from, bytes, alignment, &zeroed) : NULL;
}

static void *alloc(struct heap *heap, size_t alignment, size_t size)
{
    size_t before = alignment > BEFORE ? alignment : BEFORE;
    if (nh_unlikely(size > PTRDIFF_MAX || before > PTRDIFF_MAX - size))
        return NULL;
    return give(take(heap, alignment, before + size), before, size);
}

void *memcheck_malloc(size_t size)
{
    if (replaced())
        return their_malloc(size);
    void *object = alloc(NULL, NH_GRAIN, size);
    return nh_likely(object != NULL) ? object : fast_out_of_memory();
}

void *memcheck_malloc_from(struct heap *heap, size_t size)
{
    return replaced() ? their_malloc(size) : alloc(heap, NH_GRAIN, size);
}

void *memcheck_aligned(size_t alignment, size_t size)
{
    return replaced() ? their_memalign(alignment, size) : alloc(NULL, alignment, size);
}

/* Any that a finalizer attaches runs, too. */
static void run_finalizers(const void *object, void *ptr)
{
    struct special *special;
    while ((special = special_unlink(object, SPECIAL_FINALIZER)) != NULL)
        special_finalize(special, ptr);
}

static void free_watched(void *ptr)
{
    struct head head;
    struct head *object = take_back(ptr, NH_OBJECT, &head);
    if (object != NULL)
        free_later(object, head.size);
}

void memcheck_free(void *ptr)
{
    if (ptr == NULL)
        return;
    if (replaced()) {
        their_free(ptr);
        return;
    }
    struct head head;
    const void *object = head_of(ptr, NH_OBJECT, &head);
    if (object != NULL)
        run_finalizers(object, ptr);
    free_watched(ptr);
}

/* Always moves, so that what still uses the old place is found. */
void *memcheck_realloc(void *ptr, size_t size)
{
    if (replaced())
        return their_realloc(ptr, size);
    struct head head;
    struct head *object = head_of(ptr, NH_OBJECT, &head);
    if (object == NULL) {
        memcheck_take(ptr); /* it says what is wrong */
        return fast_out_of_memory();
    }
    int saved = errno;
    void *moved = memcheck_malloc(size);
    if (moved == NULL && size > head.size)
        return NULL;
    struct special *finalizer = special_unlink(object, SPECIAL_FINALIZER);
    if (moved == NULL) { /* to have less is never refused */
        errno = saved;
        memcheck_shrink(ptr, head.size, size);
        head_write(object, (struct head){.size = size, .before = head.before});
        moved = ptr;
    } else {
        memcpy(moved, ptr, head.size < size ? head.size : size);
        free_watched(ptr);
    }
    if (finalizer != NULL)
        (void)special_link(finalizer, memcheck_object(moved));
    return moved;
}

size_t memcheck_usable_size(const void *ptr)
{
    struct head head;
    return head_of(ptr, NH_OBJECT, &head) != NULL ? head.size : 0;
}

void *memcheck_object(const void *ptr)
{
    struct head head;
    return head_of(ptr, NH_OBJECT, &head);
}

/* ---- Whole pages ---- */

void *memcheck_pages_alloc(struct heap *heap, size_t pages)
{
    bool possible = pages < PTRDIFF_MAX >> NH_PAGE_SHIFT;
    void *at = possible ? large_pages_alloc(heap, pages + 1) : NULL;
    return give(at, NH_PAGE, pages << NH_PAGE_SHIFT);
}

void memcheck_pages_free(void *ptr)
{
    struct head head;
    struct head *object = take_back(ptr, NH_PAGES, &head);
    if (object != NULL)
        free_later(object, head.size);
}
