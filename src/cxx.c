/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * cxx.c - C++ operator new and delete, by their mangled names, in C: the
 * library must not load a C++ runtime into programs that have none.
 *
 * Only failure needs that runtime: the new-handler, and the exception.  Both
 * are found when they are needed.  Compiled with -fexceptions, so that the
 * exception passes through.
 *
 * A program may replace some forms by its own.  By the standard's defaults all others
 * then end in those, for example an array's in operator new(size_t).  So a form that
 * calls another one calls whichever the program has, by a name that the linker leaves to
 * the loader (--dynamic-list-cpp-new).  In the static library all are weak.
 */
#include "cxx.h"

#include "base.h"
#include "fast.h"
#include "log.h"
#include "nearheap.h"

#include <dlfcn.h>
#include <stdlib.h>

typedef void (*new_handler)(void);

/* libstdc++'s std::get_new_handler() and std::__throw_bad_alloc().  Weak: they
 * are bound where the program has the runtime from the start. */
extern new_handler _ZSt15get_new_handlerv(void) __attribute__((weak));
extern void _ZSt17__throw_bad_allocv(void) __attribute__((weak));

/* A runtime that came later, by dlopen, is found by name; if it came with a plugin that keeps
 * it to itself (RTLD_LOCAL), among those that are loaded. */
static void *find(void *bound, const char *name)
{
    static const char *const runtimes[] = {"libstdc++.so.6", "libc++.so.1"};
    void *found = bound != NULL ? bound : dlsym(RTLD_DEFAULT, name);
    for (size_t i = 0; found == NULL && i < sizeof runtimes / sizeof *runtimes; i++) {
        void *runtime = dlopen(runtimes[i], RTLD_LAZY | RTLD_NOLOAD);
        if (runtime == NULL)
            continue;
        found = dlsym(runtime, name);
        dlclose(runtime); /* it stays: who called operator new needs it */
    }
    return found;
}

static NH_SLOW new_handler current_handler(void)
{
    union {
        void *object;
        new_handler (*function)(void);
    } get = {.object = find((void *)(uintptr_t)_ZSt15get_new_handlerv, "_ZSt15get_new_handlerv")};
    return get.object != NULL ? get.function() : NULL;
}

/* malloc failed: true when the program's handler may have freed something. */
static NH_SLOW bool call_new_handler(void)
{
    new_handler handler = current_handler();
    if (handler == NULL)
        return false;
    handler();
    return true;
}

/* What `throw std::bad_alloc()` is made of (Itanium C++ ABI, Exception Handling, 2.4).  A program
 * that has the runtime linked statically has these where it catches the exception by its
 * name, and the function above only by chance. */
extern void *__cxa_allocate_exception(size_t size) __attribute__((weak));
extern void __cxa_throw(void *object, const void *type, void (*destructor)(void *))
    __attribute__((weak));
extern const char bad_alloc_type[] __asm__("_ZTISt9bad_alloc") __attribute__((weak));
extern const void *const bad_alloc_vtable[] __asm__("_ZTVSt9bad_alloc") __attribute__((weak));
extern void bad_alloc_destroy(void *object) __asm__("_ZNSt9bad_allocD1Ev") __attribute__((weak));
/* In a table of virtual functions these come before the first one. */
#define VTABLE_HEAD 2

static NH_SLOW void throw_linked_bad_alloc(void)
{
    if (__cxa_allocate_exception == NULL || __cxa_throw == NULL || bad_alloc_type == NULL ||
        bad_alloc_vtable == NULL || bad_alloc_destroy == NULL)
        return;
    const void **object = __cxa_allocate_exception(sizeof *object);
    *object = &bad_alloc_vtable[VTABLE_HEAD];
    __cxa_throw(object, bad_alloc_type, bad_alloc_destroy);
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
    throw_linked_bad_alloc();
    log_line(LOG_ERROR, "operator new is out of memory, and no C++ runtime to throw from");
    abort();
}

static NH_SLOW void *new_slow(size_t size, size_t alignment)
{
    for (;;) {
        void *object = alignment == 0 ? fast_malloc(size) : nh_memalign(alignment, size);
        if (object != NULL)
            return object;
        if (!call_new_handler())
            throw_bad_alloc();
    }
}

void *cxx_new_failed(size_t size)
{
    return new_slow(size, 0);
}

/* ---- The forms that others call, as the program has them ---- */

#define BOUND(name) __asm__(name) __attribute__((visibility("default")))

extern void *bound_new(size_t size) BOUND("_Znwm");
extern void *bound_new_array(size_t size) BOUND("_Znam");
extern void *bound_new_aligned(size_t size, size_t alignment) BOUND("_ZnwmSt11align_val_t");
extern void *bound_new_array_aligned(size_t size, size_t alignment) BOUND("_ZnamSt11align_val_t");
extern void bound_delete(void *ptr) BOUND("_ZdlPv");
extern void bound_delete_array(void *ptr) BOUND("_ZdaPv");
extern void bound_delete_aligned(void *ptr, size_t alignment) BOUND("_ZdlPvSt11align_val_t");
extern void bound_delete_array_aligned(void *ptr, size_t alignment) BOUND("_ZdaPvSt11align_val_t");

/* Whether the program has another one.  The compiler thinks that it knows. */
#define REPLACED(bound, ours)                                                                      \
    (__extension__({                                                                               \
        __typeof__(&(ours)) bound_now = (bound);                                                   \
        __asm__("" : "+r"(bound_now));                                                             \
        nh_unlikely(bound_now != (ours));                                                          \
    }))

/* ---- new ---- */

static void *new_single(size_t size)
{
    return fast_new(size);
}

static void *new_single_aligned(size_t size, size_t alignment)
{
    void *object = nh_memalign(alignment, size);
    return nh_likely(object != NULL) ? object : new_slow(size, alignment);
}

static void *new_array(size_t size)
{
    return bound_new(size);
}

static void *new_array_aligned(size_t size, size_t alignment)
{
    return bound_new_aligned(size, alignment);
}

static inline bool is_new_replaced(bool array)
{
    return (array && REPLACED(bound_new_array, new_array)) || REPLACED(bound_new, new_single);
}

static inline bool is_aligned_new_replaced(bool array)
{
    return (array && REPLACED(bound_new_array_aligned, new_array_aligned)) ||
           REPLACED(bound_new_aligned, new_single_aligned);
}

typedef void *(*nothrow_new)(size_t size, const void *tag);
typedef void *(*aligned_nothrow_new)(size_t size, size_t alignment, const void *tag);

/* A nothrow form gives NULL when the handler throws, or the program's form that it calls;
 * but C cannot catch.  The runtime's own form can: it calls the throwing one, and
 * catches.  A statically linked runtime has no such function left; there an exception
 * passes through.  Where there is neither a handler nor a form of the program's nothing is
 * thrown: an exception is memory, too, and a runtime that has none ends the program. */
static NH_SLOW void *new_nothrow_slow(bool array, size_t size)
{
    bool replaced = is_new_replaced(array);
    if (!replaced && current_handler() == NULL)
        return NULL;
    static const char tag; /* std::nothrow; nobody looks at it */
    union {
        void *object;
        nothrow_new function;
    } next = {.object = dlsym(RTLD_NEXT, array ? "_ZnamRKSt9nothrow_t" : "_ZnwmRKSt9nothrow_t")};
    if (next.object != NULL)
        return next.function(size, &tag);
    if (replaced)
        return array ? bound_new_array(size) : bound_new(size);
    void *object = NULL;
    while (object == NULL && call_new_handler())
        object = fast_malloc(size);
    return object;
}

static NH_SLOW void *new_aligned_nothrow_slow(bool array, size_t size, size_t alignment)
{
    bool replaced = is_aligned_new_replaced(array);
    if (!replaced && current_handler() == NULL)
        return NULL;
    static const char tag;
    union {
        void *object;
        aligned_nothrow_new function;
    } next = {.object = dlsym(RTLD_NEXT, array ? "_ZnamSt11align_val_tRKSt9nothrow_t"
                                               : "_ZnwmSt11align_val_tRKSt9nothrow_t")};
    if (next.object != NULL)
        return next.function(size, alignment, &tag);
    if (replaced)
        return array ? bound_new_array_aligned(size, alignment)
                     : bound_new_aligned(size, alignment);
    void *object = NULL;
    while (object == NULL && call_new_handler())
        object = nh_memalign(alignment, size);
    return object;
}

static void *new_nothrow(size_t size, const void *tag)
{
    (void)tag;
    void *object = is_new_replaced(false) ? NULL : fast_malloc(size);
    return nh_likely(object != NULL) ? object : new_nothrow_slow(false, size);
}

static void *new_array_nothrow(size_t size, const void *tag)
{
    (void)tag;
    void *object = is_new_replaced(true) ? NULL : fast_malloc(size);
    return nh_likely(object != NULL) ? object : new_nothrow_slow(true, size);
}

static void *new_aligned_nothrow(size_t size, size_t alignment, const void *tag)
{
    (void)tag;
    void *object = is_aligned_new_replaced(false) ? NULL : nh_memalign(alignment, size);
    return nh_likely(object != NULL) ? object : new_aligned_nothrow_slow(false, size, alignment);
}

static void *new_array_aligned_nothrow(size_t size, size_t alignment, const void *tag)
{
    (void)tag;
    void *object = is_aligned_new_replaced(true) ? NULL : nh_memalign(alignment, size);
    return nh_likely(object != NULL) ? object : new_aligned_nothrow_slow(true, size, alignment);
}

/* ---- delete ---- */

static void delete_single(void *ptr)
{
    fast_free(ptr);
}

static void delete_single_aligned(void *ptr, size_t alignment)
{
    (void)alignment;
    fast_free(ptr);
}

static void delete_array(void *ptr)
{
    bound_delete(ptr);
}

static void delete_array_aligned(void *ptr, size_t alignment)
{
    bound_delete_aligned(ptr, alignment);
}

static void delete_sized(void *ptr, size_t size)
{
    if (REPLACED(bound_delete, delete_single))
        bound_delete(ptr);
    else
        fast_free_sized(ptr, size);
}

static void delete_array_sized(void *ptr, size_t size)
{
    if (REPLACED(bound_delete_array, delete_array))
        bound_delete_array(ptr);
    else
        delete_sized(ptr, size);
}

static void delete_aligned_sized(void *ptr, size_t size, size_t alignment)
{
    if (REPLACED(bound_delete_aligned, delete_single_aligned))
        bound_delete_aligned(ptr, alignment);
    else
        nh_free_aligned_sized(ptr, alignment, size);
}

static void delete_array_aligned_sized(void *ptr, size_t size, size_t alignment)
{
    if (REPLACED(bound_delete_array_aligned, delete_array_aligned))
        bound_delete_array_aligned(ptr, alignment);
    else
        delete_aligned_sized(ptr, size, alignment);
}

static void delete_nothrow(void *ptr, const void *tag)
{
    (void)tag;
    bound_delete(ptr);
}

static void delete_array_nothrow(void *ptr, const void *tag)
{
    (void)tag;
    bound_delete_array(ptr);
}

static void delete_aligned_nothrow(void *ptr, size_t alignment, const void *tag)
{
    (void)tag;
    bound_delete_aligned(ptr, alignment);
}

static void delete_array_aligned_nothrow(void *ptr, size_t alignment, const void *tag)
{
    (void)tag;
    bound_delete_array_aligned(ptr, alignment);
}

/* ---- Names: _Znw new, _Zna new[], _Zdl delete, _Zda delete[]; m size_t, Pv void*,
 * St11align_val_t and RKSt9nothrow_t the standard's tags (S_ repeats St) ---- */

#define FORM(name, function)                                                                       \
    extern __typeof__(function) name __attribute__((weak, alias(#function), visibility("default")))

FORM(_Znwm, new_single);
FORM(_ZnwmRKSt9nothrow_t, new_nothrow);
FORM(_ZnwmSt11align_val_t, new_single_aligned);
FORM(_ZnwmSt11align_val_tRKSt9nothrow_t, new_aligned_nothrow);
FORM(_Znam, new_array);
FORM(_ZnamRKSt9nothrow_t, new_array_nothrow);
FORM(_ZnamSt11align_val_t, new_array_aligned);
FORM(_ZnamSt11align_val_tRKSt9nothrow_t, new_array_aligned_nothrow);
FORM(_ZdlPv, delete_single);
FORM(_ZdlPvm, delete_sized);
FORM(_ZdlPvRKSt9nothrow_t, delete_nothrow);
FORM(_ZdlPvSt11align_val_t, delete_single_aligned);
FORM(_ZdlPvmSt11align_val_t, delete_aligned_sized);
FORM(_ZdlPvSt11align_val_tRKSt9nothrow_t, delete_aligned_nothrow);
FORM(_ZdaPv, delete_array);
FORM(_ZdaPvm, delete_array_sized);
FORM(_ZdaPvRKSt9nothrow_t, delete_array_nothrow);
FORM(_ZdaPvSt11align_val_t, delete_array_aligned);
FORM(_ZdaPvmSt11align_val_t, delete_array_aligned_sized);
FORM(_ZdaPvSt11align_val_tRKSt9nothrow_t, delete_array_aligned_nothrow);
