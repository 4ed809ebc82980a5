/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * profile_frames.c - the calls that led to a malloc, by the unwinder of the compiler's
 * runtime library, which knows frames without frame pointers, and is in most processes.
 *
 * The library is opened when a profile is begun, not linked: others do not load it.  It
 * finds unwind tables by glibc's _dl_find_object (since 2.35), without a lock; with an older
 * one or other C libraries by dl_iterate_phdr, which takes the loader's lock.  It
 * allocates only where code registers tables by itself (some JITs), at first use.
 */
#include "log.h"
#include "profile.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/auxv.h>
#include <unwind.h>

#define UNWINDER "libgcc_s.so.1"

/* Set before the first sample; again, by others that begin, to the same.  Relaxed, but
 * for who begins: profile_on orders them. */
static __typeof__(_Unwind_Backtrace) *_Atomic backtrace;
static __typeof__(_Unwind_GetIP) *_Atomic get_ip;

/* Where this library's own code lies: [own_begin, own_end); nothing in a program that
 * it is linked into, where names tell (profile_write.c). */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char etext[] __attribute__((visibility("hidden")));
static _Atomic uintptr_t own_begin, own_end;

static _Thread_local __attribute__((tls_model("initial-exec"))) bool busy;

static void *find(void *library, const char *name)
{
    return library != NULL ? dlsym(library, name) : NULL;
}

bool profile_frames_prepare(void)
{
    if (atomic_load(&backtrace) != NULL)
        return true;
    void *library = dlopen(UNWINDER, RTLD_LAZY | RTLD_LOCAL);
    union {
        void *object;
        __typeof__(_Unwind_Backtrace) *function;
    } walk = {.object = find(library, "_Unwind_Backtrace")};
    union {
        void *object;
        __typeof__(_Unwind_GetIP) *function;
    } ip = {.object = find(library, "_Unwind_GetIP")};
    if (walk.object == NULL || ip.object == NULL) {
        log_line(LOG_ERROR, "no call stacks: %s is not there, which walks them", UNWINDER);
        return false;
    }
    uintptr_t program = getauxval(AT_PHDR);
    if (program < (uintptr_t)__ehdr_start || program >= (uintptr_t)etext) {
        atomic_store(&own_begin, (uintptr_t)__ehdr_start);
        atomic_store(&own_end, (uintptr_t)etext);
    }
    atomic_store(&get_ip, ip.function);
    atomic_store(&backtrace, walk.function);
    uintptr_t frame;
    (void)profile_frames_take(&frame, 1);
    return true;
}

struct walk {
    uintptr_t *frames;
    unsigned count, most;
};

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *arg)
{
    struct walk *walk = arg;
    /* The call, not what is returned to, which may be another line or function. */
    uintptr_t call = atomic_load_explicit(&get_ip, memory_order_relaxed)(context) - 1;
    if (call == UINTPTR_MAX)
        return _URC_NORMAL_STOP;
    if (walk->count == 0 && call >= atomic_load_explicit(&own_begin, memory_order_relaxed) &&
        call < atomic_load_explicit(&own_end, memory_order_relaxed))
        return _URC_NO_REASON;
    walk->frames[walk->count++] = call;
    return walk->count < walk->most ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

unsigned profile_frames_take(uintptr_t *frames, unsigned most)
{
    struct walk walk = {.frames = frames, .most = most};
    int saved = errno;
    busy = true;
    (void)atomic_load_explicit(&backtrace, memory_order_relaxed)(visit, &walk);
    busy = false;
    errno = saved;
    return walk.count;
}

bool profile_frames_busy(void)
{
    return busy;
}
