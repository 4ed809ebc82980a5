/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * objects.c - see objects.h.
 */
#include "objects.h"

#include "../family.h"
#include "../stamps.h"
#include "nearheap.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

struct object_counts object_counts;

void object_wrong(_Atomic uint64_t *count, const char *what, const void *at, uint64_t more)
{
    if (atomic_fetch_add(count, 1) < 3)
        dprintf(2, "faults: %s: %p (%#llx)\n", what, at, (unsigned long long)more);
}

static size_t pick_size(uint64_t *state)
{
    size_t kind = random_below(state, 100);
    size_t most = kind < 75 ? 1024 : kind < 90 ? 65536 : OBJECT_LARGEST;
    size_t bits = random_below(state, (size_t)(64 - __builtin_clzll(most)));
    size_t size = ((size_t)1 << bits) + random_below(state, (size_t)1 << bits);
    return size > most ? most : size;
}

/* ---- Contents ---- */

static void stamp(const struct object *object)
{
    stamps_write(object->at, object->size, object->seed);
}

/* That the first `size` bytes of `at` are what was stamped at `was`. */
static void check_stamps(const unsigned char *at, size_t size, const unsigned char *was,
                         uint64_t seed)
{
    size_t wrong = stamps_check(at, size, was, seed);
    if (wrong != STAMPS_GOOD)
        object_wrong(&object_counts.corrupted, "contents changed", at, wrong);
}

static void check_zero(const unsigned char *at, size_t size)
{
    size_t wrong = stamps_check_zero(at, size);
    if (wrong != STAMPS_GOOD)
        object_wrong(&object_counts.corrupted, "calloc is not zero", at, wrong);
}

/* ---- Allocation ---- */

static bool refused(int error)
{
    if (error == ENOMEM)
        atomic_fetch_add(&object_counts.nulls, 1);
    else
        object_wrong(&object_counts.errors, "refused with another errno", NULL, (uint64_t)error);
    return false;
}

static void check_new(const struct object *object)
{
    if ((uintptr_t)object->at % object->alignment != 0)
        object_wrong(&object_counts.errors, "misaligned", object->at, object->alignment);
    if (object->family != FAMILY_PAGES && malloc_usable_size(object->at) < object->size)
        object_wrong(&object_counts.errors, "too small", object->at, object->size);
}

static void *zeroed(void *at, size_t size)
{
    if (at != NULL)
        check_zero(at, size);
    return at;
}

/* C++'s, by their mangled names, where the engine has them.  Those that throw would end a
 * program without C++'s runtime; the standard says nothing of errno. */
#ifndef NH_TEST_DIRECT
void *new_nothrow(size_t size, const void *tag) __asm__("_ZnwmRKSt9nothrow_t");
void *new_array_nothrow(size_t size, const void *tag) __asm__("_ZnamRKSt9nothrow_t");
void *new_aligned(size_t size, size_t alignment,
                  const void *tag) __asm__("_ZnwmSt11align_val_tRKSt9nothrow_t");
void *new_array_aligned(size_t size, size_t alignment,
                        const void *tag) __asm__("_ZnamSt11align_val_tRKSt9nothrow_t");
void delete_plain(void *ptr) __asm__("_ZdlPv");
void delete_array(void *ptr) __asm__("_ZdaPv");
void delete_sized(void *ptr, size_t size) __asm__("_ZdlPvm");
void delete_nothrow(void *ptr, const void *tag) __asm__("_ZdlPvRKSt9nothrow_t");
void delete_aligned(void *ptr, size_t alignment) __asm__("_ZdlPvSt11align_val_t");
void delete_array_aligned(void *ptr, size_t alignment) __asm__("_ZdaPvSt11align_val_t");
void delete_aligned_sized(void *ptr, size_t size,
                          size_t alignment) __asm__("_ZdlPvmSt11align_val_t");

static void *allocate_new(const struct object *object, size_t form)
{
    static const char nothrow;
    void *at = NULL;
    if (object->family == FAMILY_NEW)
        at = form == 0 ? new_nothrow(object->size, &nothrow)
                       : new_array_nothrow(object->size, &nothrow);
    else
        at = form == 0 ? new_aligned(object->size, object->alignment, &nothrow)
                       : new_array_aligned(object->size, object->alignment, &nothrow);
    if (at == NULL)
        errno = ENOMEM;
    return at;
}

/* An array's and a single object's forms are one here. */
static void release_new(const struct object *object, size_t form)
{
    static const char nothrow;
    if (object->family == FAMILY_NEW)
        form == 0   ? delete_plain(object->at)
        : form == 1 ? delete_array(object->at)
        : form == 2 ? delete_sized(object->at, object->size)
                    : delete_nothrow(object->at, &nothrow);
    else
        form == 0   ? delete_aligned(object->at, object->alignment)
        : form == 1 ? delete_array_aligned(object->at, object->alignment)
                    : delete_aligned_sized(object->at, object->size, object->alignment);
}
#else
static void *allocate_new(const struct object *object, size_t form)
{
    (void)form;
    return object->family == FAMILY_NEW ? malloc(object->size)
                                        : memalign(object->alignment, object->size);
}

static void release_new(const struct object *object, size_t form)
{
    (void)form;
    free(object->at);
}
#endif

bool object_allocate(struct object *object, uint64_t *state)
{
    size_t size = object->size = pick_size(state);
    int node = (int)random_below(state, (size_t)nh_node_count());
    void *at = NULL;
    int error = 0;
    object->family = FAMILY_FREE;
    object->alignment = 16;
    object->finalizers = object->finalizers_run = 0;
    errno = 0;
    switch (random_below(state, 24)) {
    case 0:
        object->family = FAMILY_SIZED;
        at = zeroed(calloc(1, size), size);
        break;
    case 1:
    case 2:
        object->alignment = (size_t)16 << random_below(state, 10);
        error = posix_memalign(&at, object->alignment, size);
        break;
    case 3:
    case 4:
        object->alignment = (size_t)4096 << random_below(state, 11);
        at = memalign(object->alignment, size);
        break;
    case 5:
        object->family = FAMILY_ALIGNED_SIZED;
        object->alignment = (size_t)16 << random_below(state, 10);
        at = aligned_alloc(object->alignment, size);
        break;
    case 6:
        object->alignment = (size_t)sysconf(_SC_PAGESIZE);
        at = valloc(size);
        break;
    case 7: /* all of its last page */
        object->alignment = (size_t)sysconf(_SC_PAGESIZE);
        object->size = (size + object->alignment - 1) / object->alignment * object->alignment;
        at = pvalloc(size);
        break;
    case 8:
        object->family = FAMILY_SIZED;
        at = reallocarray(NULL, 1, size);
        break;
    case 9:
    case 10:
        at = nh_malloc_on_node(size, node);
        break;
    case 11:
        at = zeroed(nh_calloc_on_node(1, size, node), size);
        break;
    case 12:
    case 13:
        at = nh_malloc_interleaved(size);
        break;
    case 14:
    case 15:
        object->family = FAMILY_PAGES;
        object->alignment = NH_PAGE_BYTES;
        object->size = (1 + random_below(state, 40)) * NH_PAGE_BYTES;
        at = nh_pages_alloc(object->size / NH_PAGE_BYTES, -1);
        break;
    case 16:
        object->family = FAMILY_NEW;
        at = allocate_new(object, random_below(state, 2));
        break;
    case 17:
        object->family = FAMILY_NEW_ALIGNED;
        object->alignment = (size_t)16 << random_below(state, 10);
        at = allocate_new(object, random_below(state, 2));
        break;
    default:
        object->family = FAMILY_SIZED;
        at = malloc(size);
    }
    if (at == NULL)
        return refused(error != 0 ? error : errno);
    object->at = at;
    object->seed = random_next(state);
    check_new(object);
    stamp(object);
    return true;
}

static void finalize(void *ptr, void *arg)
{
    struct object *object = arg;
    if (ptr != object->at)
        object_wrong(&object_counts.lost, "a finalizer of another object", ptr, object->size);
    object->finalizers_run++;
}

static void free_by_family(const struct object *object, size_t form)
{
    switch (object->family) {
    case FAMILY_FREE:
        free(object->at);
        break;
    case FAMILY_SIZED:
        form == 0 ? free_sized(object->at, object->size) : free(object->at);
        break;
    case FAMILY_ALIGNED_SIZED:
        form == 0 ? free(object->at)
                  : free_aligned_sized(object->at, object->alignment, object->size);
        break;
    case FAMILY_NEW:
    case FAMILY_NEW_ALIGNED:
        release_new(object, form);
        break;
    case FAMILY_PAGES:
        nh_pages_free(object->at);
    }
}

void object_release(struct object *object)
{
    check_stamps(object->at, object->size, object->at, object->seed);
    errno = EXDEV;
    free_by_family(object, object->seed % 4);
    if (errno != EXDEV)
        object_wrong(&object_counts.errors, "free changed errno", object->at, (uint64_t)errno);
    if (object->finalizers_run != object->finalizers)
        object_wrong(&object_counts.lost, "finalizers not run, or run though detached", object->at,
                     object->finalizers_run);
    object->at = NULL;
}

static void resize_too_much(const struct object *object, size_t size)
{
    size_t count = SIZE_MAX / size + 1; /* times size is more than there can be */
    errno = 0;
    const void *given = count > 1 ? reallocarray(object->at, count, size) : NULL;
    if (count > 1 && (given != NULL || errno != ENOMEM))
        object_wrong(&object_counts.errors, "reallocarray gave too much", object->at,
                     (uint64_t)errno);
    check_stamps(object->at, object->size, object->at, object->seed);
}

void object_resize(struct object *object, uint64_t *state)
{
    if (object->family > FAMILY_ALIGNED_SIZED)
        return;
    size_t size = random_below(state, 2) == 0 ? pick_size(state) : object->size + object->size / 2;
    if (size > OBJECT_LARGEST)
        size = OBJECT_LARGEST;
    const unsigned char *was = object->at;
    if (random_below(state, 8) == 0)
        resize_too_much(object, size);
    errno = 0;
    unsigned char *at =
        random_below(state, 2) == 0 ? realloc(object->at, size) : reallocarray(object->at, size, 1);
    if (at == NULL) {
        (void)refused(errno); /* and the object is as it was */
        check_stamps(object->at, object->size, object->at, object->seed);
        return;
    }
    /* A word that is cut by the end is stamped in part. */
    size_t kept = object->size < size ? object->size : size;
    check_stamps(at, kept, was, object->seed);
    object->at = at;
    object->size = size;
    object->family = FAMILY_SIZED;
    object->alignment = 16;
    check_new(object);
    stamp(object);
}

void object_attach(struct object *object)
{
    if (object->family == FAMILY_PAGES)
        return;
    errno = 0;
    if (object->finalizers != 0) {
        if (nh_detach_finalizer(object->at) != 0)
            object_wrong(&object_counts.lost, "no finalizer to detach", object->at,
                         (uint64_t)errno);
        object->finalizers = 0;
    } else if (nh_attach_finalizer(object->at, finalize, object) == 0)
        object->finalizers = 1;
    else
        (void)refused(errno);
}

void object_verify(const struct object *object)
{
    check_stamps(object->at, object->size, object->at, object->seed);
    struct nh_object found = {.struct_size = sizeof(found)};
    if (nh_lookup(object->at, &found) != 0 ||
        found.what != (object->family == FAMILY_PAGES ? NH_PAGES : NH_OBJECT) ||
        found.object != object->at || found.size < object->size)
        object_wrong(&object_counts.lost, "an object is not known", object->at,
                     (uint64_t)found.what);
}
