/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * guard_fault.c - see guard_fault.h.
 *
 * The handler may interrupt anything of the program's, and of the engine's only what touches no
 * slot; it waits for nobody but who copies a slot's record or writes a report.
 */
#include "guard_fault.h"

#include "guard_report.h"
#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <ucontext.h>

/* Who handled it before; constant once we do, but for SA_RESETHAND. */
static struct sigaction before;

/* ---- The instruction that was interrupted ---- */

#if defined(__x86_64__)

/* Bits of a page fault's error code (Intel's manual, volume 3, 4.7). */
#define FAULT_WRITE 0x2
#define FAULT_FETCH 0x10

static void read_context(const ucontext_t *context, struct guard_access *out)
{
    out->instruction = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    long error = (long)context->uc_mcontext.gregs[REG_ERR];
    out->what = (error & FAULT_FETCH) != 0   ? GUARD_JUMP
                : (error & FAULT_WRITE) != 0 ? GUARD_WRITE
                                             : GUARD_READ;
}

#elif defined(__aarch64__)

/* Exception classes and a data abort's direction (Arm's manual, ESR_EL1). */
#define SYNDROME_CLASS(esr) ((esr) >> 26 & 0x3f)
#define CLASS_FETCH         0x20
#define SYNDROME_WRITE      0x40

/* Records follow one another behind the registers; the last one has magic 0. */
static void read_context(const ucontext_t *context, struct guard_access *out)
{
    const mcontext_t *machine = &context->uc_mcontext;
    out->instruction = (uintptr_t)machine->pc;
    out->what = GUARD_ACCESS;
    const unsigned char *at = (const unsigned char *)machine->__reserved;
    const unsigned char *end = at + sizeof machine->__reserved;
    const struct _aarch64_ctx *record;
    for (; (size_t)(end - at) >= sizeof *record; at += record->size) {
        record = (const struct _aarch64_ctx *)(const void *)at;
        if (record->magic == 0 || record->size == 0)
            return;
        if (record->magic != ESR_MAGIC)
            continue;
        uint64_t esr = ((const struct esr_context *)(const void *)at)->esr;
        out->what = SYNDROME_CLASS(esr) == CLASS_FETCH ? GUARD_JUMP
                    : (esr & SYNDROME_WRITE) != 0      ? GUARD_WRITE
                                                       : GUARD_READ;
        return;
    }
}

#else
#error "the context of a signal is not known here"
#endif

/* ---- What would have been done ---- */

/* The kernel's own way.  A fault happens again when the handler has returned; what was sent
 * by a process waits until then. */
static void end_by_default(int number, bool fault)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    if (sigaction(number, &action, NULL) != 0)
        abort();
    if (!fault)
        (void)raise(number);
}

static void pass_on(int number, siginfo_t *info, void *context)
{
    bool fault = info->si_code > 0; /* of the kernel, not sent by somebody */
    struct sigaction next = before;
    if (next.sa_handler == SIG_IGN && !fault)
        return;
    if (next.sa_handler == SIG_DFL || next.sa_handler == SIG_IGN) {
        end_by_default(number, fault);
        return;
    }
    if ((next.sa_flags & (int)SA_RESETHAND) != 0)
        before = (struct sigaction){.sa_handler = SIG_DFL};
    if ((next.sa_flags & SA_NODEFER) != 0) {
        sigset_t set;
        (void)sigemptyset(&set);
        (void)sigaddset(&set, number);
        (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    }
    if ((next.sa_flags & SA_SIGINFO) != 0)
        next.sa_sigaction(number, info, context);
    else
        next.sa_handler(number);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    /* Mapped and protected, as slots are: nothing is done for programs that use other faults, such
     * as at a null pointer, for their own purposes. */
    if (info->si_code == SEGV_ACCERR) {
        struct guard_access access = {.address = (uintptr_t)info->si_addr};
        read_context(context, &access);
        guard_report_access(&access);
    }
    errno = saved;
    pass_on(number, info, context);
}

bool guard_fault_begin(void)
{
    static _Atomic bool begun;
    if (atomic_exchange(&begun, true))
        return true;
    if (sigaction(SIGSEGV, NULL, &before) == 0) {
        bool handled = before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN;
        struct sigaction action = {.sa_sigaction = on_fault};
        /* As the handler before it wants to be called, who may need it so. */
        if (handled)
            action.sa_mask = before.sa_mask;
        int kept = handled ? before.sa_flags & (SA_ONSTACK | SA_RESTART) : SA_ONSTACK;
        action.sa_flags = SA_SIGINFO | kept;
        if (sigaction(SIGSEGV, &action, NULL) == 0)
            return true;
    }
    atomic_store(&begun, false);
    log_line(LOG_ERROR, "no guard pages: SIGSEGV cannot be handled");
    return false;
}
