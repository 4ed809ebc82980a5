/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * limit.c - the yardstick of bench/compare: the least that a malloc can do.
 *
 * Each thread has a list of free objects a size class: malloc takes the first, free
 * puts one in front, and a table tells the class of an address.  Nothing is checked,
 * nothing goes back to the system, and an object stays with the thread that freed it.
 * Only lists that have grown long are left to other threads, whole, and all when the
 * thread ends: else producers and consumers would measure nothing but page faults.  No
 * server could use it; it shows how much of a workload's time is the allocator's at all.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

#define GRAIN_SHIFT 4 /* 16 bytes: max_align_t, and the step of small classes */
#define GRAIN       ((size_t)1 << GRAIN_SHIFT)
#define SMALL_SHIFT 10 /* to 1 KiB a class every grain, */
#define SMALL_MAX   ((size_t)1 << SMALL_SHIFT)
#define SMALL_COUNT (1 + (SMALL_MAX >> GRAIN_SHIFT)) /* class 0: no bytes, in a grain */
#define STEPS_SHIFT 2                                /* then four a doubling, */
#define STEPS       ((size_t)1 << STEPS_SHIFT)
#define LARGE_SHIFT 15 /* from 32 KiB one: pages that nobody touches cost nothing */
#define LARGE_CLASS (SMALL_COUNT + (LARGE_SHIFT - SMALL_SHIFT) * STEPS)

/* Memory comes off one reservation in chunks of one class each, which are aligned to
 * their size and to the size of a large object.  Chunks lie close: address space of
 * its own for every class would make the class a part of the address, but cost more
 * in page tables than it saves. */
#define RESERVE_SHIFT 40 /* 1 TiB */
#define RESERVE       ((size_t)1 << RESERVE_SHIFT)
#define OBJECT_MAX    (RESERVE / 4)
#define CHUNK_SHIFT   16
#define CHUNK         ((size_t)1 << CHUNK_SHIFT)
#define CLASSES       (LARGE_CLASS + RESERVE_SHIFT - LARGE_SHIFT)

/* Chunks' first objects lie so much further from the chunk's beginning class by class,
 * within a page: an odd number of cache lines, for else all classes would compete for a
 * few sets of the cache. */
#define COLOUR ((size_t)5 * 64)
#define PAGE   ((size_t)4096)

/* A list may grow by so many bytes before it is left to other threads. */
#define LIST_BYTES ((size_t)32 << 10)

struct object {
    struct object *next;
    atomic_uintptr_t list; /* of the first of a list that was left: the first object of
                              the list left before it, or 0 */
};

#define THREAD static _Thread_local __attribute__((tls_model("initial-exec")))
THREAD struct {
    struct object *first;
    size_t room; /* so many may be added */
} lists[CLASSES];
THREAD struct {
    char *fresh; /* the rest of its chunk, never used and therefore zero */
    size_t left; /* bytes of it */
} chunks[CLASSES];
THREAD bool known; /* to the key */

static atomic_uintptr_t reserved; /* where; 0 before the first object */
static atomic_size_t reserved_used;
static uint8_t chunk_class[RESERVE >> CHUNK_SHIFT]; /* by chunk_at */

/* Lists that were left: the address of the last one's first object, and above it a
 * count of takings.  With the count a taker sees that the list he found was taken and
 * another, or the same one with others behind it, left in its place. */
static atomic_uint_fast64_t shared[CLASSES];
#define ADDRESS_BITS 48
#define ADDRESS      (((uint64_t)1 << ADDRESS_BITS) - 1)

/* Its destructor leaves an ending thread's lists. */
static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static inline size_t class_of(size_t size)
{
    if (size <= SMALL_MAX)
        return (size + GRAIN - 1) >> GRAIN_SHIFT;
    unsigned shift = 63 - (unsigned)__builtin_clzl(size - 1);
    if (shift >= LARGE_SHIFT)
        return LARGE_CLASS + shift - LARGE_SHIFT;
    size_t step = (size - 1) >> (shift - STEPS_SHIFT) & (STEPS - 1);
    return SMALL_COUNT + (shift - SMALL_SHIFT) * STEPS + step;
}

static size_t class_bytes(size_t cls)
{
    if (cls < SMALL_COUNT)
        return cls == 0 ? GRAIN : cls << GRAIN_SHIFT;
    if (cls >= LARGE_CLASS)
        return (size_t)2 << (LARGE_SHIFT + cls - LARGE_CLASS);
    size_t above = cls - SMALL_COUNT;
    return (STEPS + above % STEPS + 1) << (SMALL_SHIFT - STEPS_SHIFT + above / STEPS);
}

/* Chunks of one reservation all differ in these bits, wherever it begins. */
static inline size_t chunk_at(const void *object)
{
    return ((uintptr_t)object & (RESERVE - 1)) >> CHUNK_SHIFT;
}

static inline size_t class_at(const void *object)
{
    return chunk_class[chunk_at(object)];
}

static size_t room_of(size_t cls)
{
    size_t room = LIST_BYTES / class_bytes(cls);
    return room == 0 ? 1 : room;
}

static void *no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* Makes the reservation, unless another thread does; false when there is no room. */
static bool reserve(void)
{
    void *mapped = mmap(NULL, RESERVE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED)
        return false;
    uintptr_t none = 0;
    if (!atomic_compare_exchange_strong(&reserved, &none, (uintptr_t)mapped))
        munmap(mapped, RESERVE);
    return true;
}

/* `length` bytes that were never used, aligned to `alignment`, or NULL. */
static char *take_chunk(size_t length, size_t alignment)
{
    if (atomic_load(&reserved) == 0 && !reserve())
        return NULL;
    uintptr_t base = atomic_load(&reserved);
    size_t used = atomic_load(&reserved_used), offset;
    do {
        offset = ((base + used + alignment - 1) & -alignment) - base;
        if (offset > RESERVE - length)
            return NULL;
    } while (!atomic_compare_exchange_weak(&reserved_used, &used, offset + length));
    return (char *)base + offset;
}

/* Leaves the thread's list to others. */
static void leave_list(size_t cls)
{
    struct object *first = lists[cls].first;
    if (first != NULL) {
        uint64_t there = atomic_load(&shared[cls]);
        do
            atomic_store_explicit(&first->list, there & ADDRESS, memory_order_relaxed);
        while (!atomic_compare_exchange_weak(&shared[cls], &there,
                                             (there & ~ADDRESS) | (uintptr_t)first));
    }
    lists[cls].first = NULL;
    lists[cls].room = room_of(cls);
}

static void leave_all(void *unused)
{
    (void)unused;
    for (size_t cls = 0; cls < CLASSES; cls++)
        leave_list(cls);
}

static void make_key(void)
{
    pthread_key_create(&key, leave_all);
}

/* A thread that is to have a list leaves it when it ends. */
static void make_known(void)
{
    if (known)
        return;
    known = true; /* before: the key may need memory */
    pthread_once(&key_once, make_key);
    pthread_setspecific(key, &known); /* any address: the destructor is called for it */
}

/* For an object to be freed; there is none in a thread that is new. */
static __attribute__((noinline)) void make_room(size_t cls)
{
    make_known();
    leave_list(cls);
}

/* Takes a list over that was left.  Its first object, or NULL. */
static __attribute__((noinline)) void *take_list(size_t cls)
{
    uint64_t there = atomic_load(&shared[cls]), next;
    struct object *first;
    do {
        first = (struct object *)(uintptr_t)(there & ADDRESS);
        if (first == NULL)
            return NULL;
        next = atomic_load_explicit(&first->list, memory_order_relaxed) & ADDRESS;
    } while (!atomic_compare_exchange_weak(&shared[cls], &there,
                                           ((there & ~ADDRESS) + ADDRESS + 1) | next));
    lists[cls].first = first->next;
    lists[cls].room = room_of(cls);
    make_known();
    return first;
}

/* An object that was never used. */
static __attribute__((noinline)) void *fresh(size_t cls)
{
    size_t bytes = class_bytes(cls);
    if (chunks[cls].left < bytes) {
        size_t length = bytes > CHUNK ? bytes : CHUNK;
        char *chunk = take_chunk(length, length);
        if (chunk == NULL)
            return no_memory();
        chunk_class[chunk_at(chunk)] = (uint8_t)cls;
        size_t colour = cls * COLOUR % PAGE / bytes * bytes;
        chunks[cls].fresh = chunk + colour;
        chunks[cls].left = length - colour;
    }
    void *object = chunks[cls].fresh;
    chunks[cls].fresh += bytes;
    chunks[cls].left -= bytes;
    return object;
}

/* A used object, or NULL. */
static inline void *pop(size_t cls)
{
    struct object *object = lists[cls].first;
    if (__builtin_expect(object == NULL, 0))
        return take_list(cls);
    lists[cls].first = object->next;
    lists[cls].room++;
    return object;
}

EXPORT void *malloc(size_t size)
{
    if (__builtin_expect(size > OBJECT_MAX, 0))
        return no_memory();
    size_t cls = class_of(size);
    void *object = pop(cls);
    return __builtin_expect(object != NULL, 1) ? object : fresh(cls);
}

EXPORT void free(void *pointer)
{
    if (pointer == NULL)
        return;
    struct object *object = pointer;
    size_t cls = class_at(object);
    if (__builtin_expect(lists[cls].room == 0, 0))
        make_room(cls);
    object->next = lists[cls].first;
    lists[cls].first = object;
    lists[cls].room--;
}

EXPORT void *calloc(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > OBJECT_MAX)
        return no_memory();
    size_t cls = class_of(bytes);
    void *object = pop(cls);
    return object != NULL ? memset(object, 0, bytes) : fresh(cls);
}

EXPORT size_t malloc_usable_size(void *pointer)
{
    return pointer == NULL ? 0 : class_bytes(class_at(pointer));
}

EXPORT void *realloc(void *pointer, size_t size)
{
    if (pointer == NULL)
        return malloc(size);
    if (size == 0) { /* as glibc does */
        free(pointer);
        return NULL;
    }
    size_t has = malloc_usable_size(pointer);
    if (size <= has && size >= has / 2)
        return pointer;
    void *moved = malloc(size);
    if (moved != NULL) {
        memcpy(moved, pointer, size < has ? size : has);
        free(pointer);
    }
    return moved;
}

/* `alignment` is a power of two. */
EXPORT void *memalign(size_t alignment, size_t size)
{
    if (alignment > OBJECT_MAX || size > OBJECT_MAX - alignment)
        return no_memory();
    size_t cls = class_of((size + alignment - 1) & -alignment);
    while ((class_bytes(cls) & (alignment - 1)) != 0)
        cls++;
    void *object = pop(cls);
    return object != NULL ? object : fresh(cls);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

EXPORT int posix_memalign(void **result, size_t alignment, size_t size)
{
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0)
        return EINVAL;
    int before = errno;
    void *object = memalign(alignment, size);
    errno = before;
    if (object == NULL)
        return ENOMEM;
    *result = object;
    return 0;
}

EXPORT void *valloc(size_t size)
{
    return memalign((size_t)sysconf(_SC_PAGESIZE), size);
}

EXPORT void *pvalloc(size_t size)
{
    return memalign((size_t)sysconf(_SC_PAGESIZE), size); /* whose classes are whole pages */
}
