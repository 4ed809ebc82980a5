/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * profile_frames.c - the calls that led to a malloc.
 *
 * Stacks are walked by the unwinder of the compiler's runtime library, which knows frames
 * without frame pointers, and is in most processes.  It is opened when a profile is begun,
 * not linked: others do not load it.  It finds unwind tables by glibc's _dl_find_object
 * (since 2.35), without a lock; with an older one or other C libraries by
 * dl_iterate_phdr, which takes the loader's lock.  It allocates only where code registers
 * tables by itself (some JITs), at first use.
 *
 * On x86-64 it is asked seldom: the rule by which a frame leads to its caller's is read out
 * of the tables once for each return address (frame_rule.h) and kept.  Code may go, with
 * its library, and other code come in its place.  So kept rules are followed only between
 * places where the unwinder has been on the thread's stack, where all is there to be read,
 * whatever a wrong one would lead to; and now and then the unwinder is asked anyway, and
 * rules that do not lead where it goes are forgotten.
 */
#include "frame_rules.h"
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
static __typeof__(_Unwind_GetCFA) *_Atomic get_cfa;
/* Of its interface, though in no header: finds a function's entry in the tables. */
struct bases {
    void *text, *data, *function;
};
typedef const void *find_entry_function(void *pc, struct bases *bases);
static find_entry_function *_Atomic find_entry;

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
    union {
        void *object;
        __typeof__(_Unwind_GetCFA) *function;
    } cfa = {.object = find(library, "_Unwind_GetCFA")};
    union {
        void *object;
        find_entry_function *function;
    } entry = {.object = find(library, "_Unwind_Find_FDE")};
    if (walk.object == NULL || ip.object == NULL || cfa.object == NULL || entry.object == NULL) {
        log_line(LOG_ERROR, "no call stacks: %s is not there, which walks them", UNWINDER);
        return false;
    }
    uintptr_t program = getauxval(AT_PHDR);
    if (program < (uintptr_t)__ehdr_start || program >= (uintptr_t)etext) {
        atomic_store(&own_begin, (uintptr_t)__ehdr_start);
        atomic_store(&own_end, (uintptr_t)etext);
    }
    atomic_store(&get_ip, ip.function);
    atomic_store(&get_cfa, cfa.function);
    atomic_store(&find_entry, entry.function);
    atomic_store(&backtrace, walk.function);
    uintptr_t frame;
    (void)profile_frames_take(&frame, 1);
    return true;
}

/* ---- Walks ---- */

struct walk {
    uintptr_t *frames;
    unsigned count, most;
    uintptr_t low;   /* the stack pointer of who walks */
    uintptr_t begin; /* and of the caller, whose frame is the first */
    /* Of the frame before, in the unwinder's walks: */
    uintptr_t ip, sp;
    bool on_one_stack; /* so far a return address lies below the end of each frame */
};

/* False when no more are wanted. */
static bool add_call(struct walk *walk, uintptr_t ip)
{
    /* The call, not what is returned to, which may be another line or function. */
    uintptr_t call = ip - 1;
    if (walk->count == 0 && call >= atomic_load_explicit(&own_begin, memory_order_relaxed) &&
        call < atomic_load_explicit(&own_end, memory_order_relaxed))
        return true;
    walk->frames[walk->count++] = call;
    return walk->count < walk->most;
}

#ifdef __x86_64__
/* One in so many walks of a thread is the unwinder's. */
#define WALKS_CHECKED 64

static struct frame_rules rules;

/* Where the unwinder has been on the thread's stack: from stack pointer to the last frame's
 * end.  `low` is written while `top` is 0. */
static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
    uintptr_t low, top;
    unsigned walks;
} seen;

struct frame {
    uintptr_t ip, sp, fp;
};

/* The frame that it stands in; as if its ip were a return address. */
#define FRAME_HERE(frame)                                                                          \
    __asm__("lea 1(%%rip), %0\n\tmov %%rsp, %1\n\tmov %%rbp, %2"                                   \
            : "=&r"((frame)->ip), "=&r"((frame)->sp), "=r"((frame)->fp))

/* A word of the stack.  Where a rule was wrong it may be of a variable, which
 * AddressSanitizer may have fenced off. */
__attribute__((no_sanitize("address"))) static uintptr_t word_at(uintptr_t address)
{
    return *(const uintptr_t *)address;
}

static struct frame_rule rule_for(uintptr_t ip)
{
    struct frame_rule rule = frame_rules_get(&rules, ip);
    if (nh_likely(rule.kind != FRAME_UNKNOWN))
        return rule;
    struct bases bases;
    uintptr_t call = ip - 1;
    const void *entry =
        atomic_load_explicit(&find_entry, memory_order_relaxed)((void *)call, &bases);
    rule = entry != NULL ? frame_rule_read(entry, (uintptr_t)bases.function, call)
                         : (struct frame_rule){.kind = FRAME_ASK};
    frame_rules_put(&rules, ip, rule);
    return rule;
}

/* To the caller's frame; false when the unwinder must be asked. */
static bool step(struct frame *frame, struct frame_rule rule)
{
    if (rule.kind != FRAME_BY_SP && rule.kind != FRAME_BY_FP)
        return false;
    uintptr_t end = (rule.kind == FRAME_BY_SP ? frame->sp : frame->fp) + rule.cfa * FRAME_WORD;
    uintptr_t saved = end - rule.fp * FRAME_WORD;
    if (end <= frame->sp || end > seen.top || saved < frame->sp || end % FRAME_WORD != 0)
        return false;
    if (rule.fp != 0)
        frame->fp = word_at(saved);
    frame->sp = end;
    frame->ip = word_at(end - FRAME_WORD);
    return true;
}

/* From the frame of who walks; false when the unwinder must be asked. */
static bool walk_by_rules(struct walk *walk, struct frame frame)
{
    walk->low = frame.sp;
    if (frame.sp < seen.low || frame.sp >= seen.top || ++seen.walks % WALKS_CHECKED == 0)
        return false;
    for (;;) {
        struct frame_rule rule = rule_for(frame.ip);
        if (rule.kind == FRAME_LAST)
            return true;
        if (!step(&frame, rule))
            return false;
        if (!add_call(walk, frame.ip))
            return true;
    }
}

/* The unwinder has gone from the frame before, if any, to one with stack pointer `sp`. */
static void check(struct walk *walk, uintptr_t ip, uintptr_t sp)
{
    if (walk->ip != 0) {
        struct frame_rule rule = frame_rules_get(&rules, walk->ip);
        if (rule.kind != FRAME_BY_SP || walk->sp + rule.cfa * FRAME_WORD != sp)
            frame_rules_put(&rules, walk->ip, (struct frame_rule){.kind = FRAME_UNKNOWN});
        if (sp <= walk->sp || word_at(sp - FRAME_WORD) != ip)
            walk->on_one_stack = false;
    }
    walk->ip = ip;
    walk->sp = sp;
}

static void note_stack(const struct walk *walk)
{
    uintptr_t low = walk->sp == seen.top && seen.low < walk->low ? seen.low : walk->low;
    seen.top = 0;
    atomic_signal_fence(memory_order_seq_cst);
    seen.low = low;
    atomic_signal_fence(memory_order_seq_cst);
    seen.top = walk->on_one_stack ? walk->sp : 0;
}
#else
struct frame {
    char none;
};

#define FRAME_HERE(frame) ((void)(frame))

static bool walk_by_rules(const struct walk *walk, struct frame frame)
{
    (void)walk, (void)frame;
    return false;
}

static void check(const struct walk *walk, uintptr_t ip, uintptr_t sp)
{
    (void)walk, (void)ip, (void)sp;
}

static void note_stack(const struct walk *walk)
{
    (void)walk;
}
#endif

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *arg)
{
    struct walk *walk = arg;
    uintptr_t ip = atomic_load_explicit(&get_ip, memory_order_relaxed)(context);
    uintptr_t sp = atomic_load_explicit(&get_cfa, memory_order_relaxed)(context);
    if (ip == 0)
        return _URC_NORMAL_STOP;
    if (sp < walk->begin)
        return _URC_NO_REASON;
    check(walk, ip, sp);
    return add_call(walk, ip) ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

NH_NOINLINE unsigned profile_frames_take(uintptr_t *frames, unsigned most)
{
    struct walk walk = {.frames = frames,
                        .most = most,
                        .begin = (uintptr_t)__builtin_dwarf_cfa(),
                        .on_one_stack = true};
    struct frame here;
    FRAME_HERE(&here);
    int saved = errno;
    busy = true;
    if (!walk_by_rules(&walk, here)) {
        walk.count = 0;
        (void)atomic_load_explicit(&backtrace, memory_order_relaxed)(visit, &walk);
        note_stack(&walk);
    }
    busy = false;
    errno = saved;
    return walk.count;
}

bool profile_frames_busy(void)
{
    return busy;
}
