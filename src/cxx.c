/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cxx.c - C++ operator new and delete, by their mangled names, in C: the
 * library must not load a C++ runtime into programs that have none.
 *
 * Only failure needs that runtime: the new-handler, and the exception.  Both
 * are found when they are needed.  Compiled with -fexceptions, so that the
 * exception passes through.
 */
#include "nearheap.h"

#include "base.h"
#include "log.h"

#include <dlfcn.h>
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))

typedef void (*new_handler)(void);

/* libstdc++'s std::get_new_handler() and std::__throw_bad_alloc().  Weak: they
 * are bound where the program has the runtime from the start. */
extern new_handler _ZSt15get_new_handlerv(void) __attribute__((weak));
extern void _ZSt17__throw_bad_allocv(void) __attribute__((weak));

/* A runtime that came later, by dlopen, is found by name. */
static void *find(void *bound, const char *name)
{
    return bound != NULL ? bound : dlsym(RTLD_DEFAULT, name);
}

/* malloc failed: true when the program's handler may have freed something. */
static NH_SLOW bool call_new_handler(void)
{
    union {
        void *object;
        new_handler (*function)(void);
    } get = {.object = find((void *)(uintptr_t)_ZSt15get_new_handlerv, "_ZSt15get_new_handlerv")};
    new_handler handler = get.object != NULL ? get.function() : NULL;
    if (handler == NULL)
        return false;
    handler();
    return true;
}

static NH_SLOW void throw_bad_alloc(void)
{
    union {
        void *object;
        void (*function)(void);
    } raise = {.object =
                   find((void *)(uintptr_t)_ZSt17__throw_bad_allocv, "_ZSt17__throw_bad_allocv")};
    if (raise.object != NULL)
        raise.function();
    log_line(LOG_ERROR, "operator new is out of memory, and no C++ runtime to throw from");
    abort();
}

static NH_SLOW void *new_slow(size_t size, size_t alignment)
{
    for (;;) {
        void *object = alignment == 0 ? nh_malloc(size) : nh_memalign(alignment, size);
        if (object != NULL)
            return object;
        if (!call_new_handler())
            throw_bad_alloc();
    }
}

typedef void *(*nothrow_new)(size_t size, const void *tag);
typedef void *(*aligned_nothrow_new)(size_t size, size_t alignment, const void *tag);

/* A nothrow form gives NULL when the handler throws; but C cannot catch.  The
 * runtime's own form can: it calls the throwing one, which is ours, and
 * catches.  A statically linked runtime has no such function left; there the
 * handler's exception passes through. */
static NH_SLOW void *new_nothrow_slow(size_t size, size_t alignment)
{
    static const char tag; /* std::nothrow; nobody looks at it */
    if (alignment == 0) {
        union {
            void *object;
            nothrow_new function;
        } next = {.object = dlsym(RTLD_NEXT, "_ZnwmRKSt9nothrow_t")};
        if (next.object != NULL)
            return next.function(size, &tag);
    } else {
        union {
            void *object;
            aligned_nothrow_new function;
        } next = {.object = dlsym(RTLD_NEXT, "_ZnwmSt11align_val_tRKSt9nothrow_t")};
        if (next.object != NULL)
            return next.function(size, alignment, &tag);
    }
    for (;;) {
        void *object = alignment == 0 ? nh_malloc(size) : nh_memalign(alignment, size);
        if (object != NULL || !call_new_handler())
            return object;
    }
}

NH_INLINE void *new_plain(size_t size)
{
    void *object = nh_malloc(size);
    return nh_likely(object != NULL) ? object : new_slow(size, 0);
}

NH_INLINE void *new_aligned(size_t size, size_t alignment)
{
    void *object = nh_memalign(alignment, size);
    return nh_likely(object != NULL) ? object : new_slow(size, alignment);
}

NH_INLINE void *new_nothrow(size_t size)
{
    void *object = nh_malloc(size);
    return nh_likely(object != NULL) ? object : new_nothrow_slow(size, 0);
}

NH_INLINE void *new_aligned_nothrow(size_t size, size_t alignment)
{
    void *object = nh_memalign(alignment, size);
    return nh_likely(object != NULL) ? object : new_nothrow_slow(size, alignment);
}

/* Names: _Znw new, _Zna new[], _Zdl delete, _Zda delete[]; m size_t, Pv void*,
 * St11align_val_t and RKSt9nothrow_t the standard's tags (S_ repeats St). */
#define NEW_FORMS(op)                                                                              \
    EXPORT void *op##m(size_t size);                                                               \
    EXPORT void *op##m(size_t size)                                                                \
    {                                                                                              \
        return new_plain(size);                                                                    \
    }                                                                                              \
    EXPORT void *op##mRKSt9nothrow_t(size_t size, const void *tag);                                \
    EXPORT void *op##mRKSt9nothrow_t(size_t size, const void *tag)                                 \
    {                                                                                              \
        (void)tag;                                                                                 \
        return new_nothrow(size);                                                                  \
    }                                                                                              \
    EXPORT void *op##mSt11align_val_t(size_t size, size_t alignment);                              \
    EXPORT void *op##mSt11align_val_t(size_t size, size_t alignment)                               \
    {                                                                                              \
        return new_aligned(size, alignment);                                                       \
    }                                                                                              \
    EXPORT void *op##mSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment,                 \
                                                    const void *tag);                              \
    EXPORT void *op##mSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment,                 \
                                                    const void *tag)                               \
    {                                                                                              \
        (void)tag;                                                                                 \
        return new_aligned_nothrow(size, alignment);                                               \
    }

#define DELETE_FORMS(op)                                                                           \
    EXPORT void op##Pv(void *ptr);                                                                 \
    EXPORT void op##Pv(void *ptr)                                                                  \
    {                                                                                              \
        nh_free(ptr);                                                                              \
    }                                                                                              \
    EXPORT void op##Pvm(void *ptr, size_t size);                                                   \
    EXPORT void op##Pvm(void *ptr, size_t size)                                                    \
    {                                                                                              \
        nh_free_sized(ptr, size);                                                                  \
    }                                                                                              \
    EXPORT void op##PvRKSt9nothrow_t(void *ptr, const void *tag);                                  \
    EXPORT void op##PvRKSt9nothrow_t(void *ptr, const void *tag)                                   \
    {                                                                                              \
        (void)tag;                                                                                 \
        nh_free(ptr);                                                                              \
    }                                                                                              \
    EXPORT void op##PvSt11align_val_t(void *ptr, size_t alignment);                                \
    EXPORT void op##PvSt11align_val_t(void *ptr, size_t alignment)                                 \
    {                                                                                              \
        (void)alignment;                                                                           \
        nh_free(ptr);                                                                              \
    }                                                                                              \
    EXPORT void op##PvmSt11align_val_t(void *ptr, size_t size, size_t alignment);                  \
    EXPORT void op##PvmSt11align_val_t(void *ptr, size_t size, size_t alignment)                   \
    {                                                                                              \
        nh_free_aligned_sized(ptr, alignment, size);                                               \
    }                                                                                              \
    EXPORT void op##PvSt11align_val_tRKSt9nothrow_t(void *ptr, size_t alignment, const void *tag); \
    EXPORT void op##PvSt11align_val_tRKSt9nothrow_t(void *ptr, size_t alignment, const void *tag)  \
    {                                                                                              \
        (void)alignment, (void)tag;                                                                \
        nh_free(ptr);                                                                              \
    }

NEW_FORMS(_Znw)
NEW_FORMS(_Zna)
DELETE_FORMS(_Zdl)
DELETE_FORMS(_Zda)
