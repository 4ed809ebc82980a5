/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * process.c - see process.h.
 */
#include "process.h"

#include "attendant.h"
#include "cache.h"
#include "cpu_cache.h"
#include "guard.h"
#include "guard_report.h"
#include "harden.h"
#include "heap_room.h"
#include "leaks.h"
#include "lock.h"
#include "log.h"
#include "memcheck_family.h"
#include "node_limit.h"
#include "numa/placement.h"
#include "numa/topology.h"
#include "numa/usable.h"
#include "options.h"
#include "profile.h"
#include "profile_write.h"
#include "span_table.h"
#include "special.h"
#include "stats.h"

#include <pthread.h>
#include <signal.h>

static NH_TOGETHER struct lock boot_lock = LOCK_INIT(LOCK_HEAPS);
static NH_TOGETHER _Atomic bool booted;  /* release after boot; acquire pairs with it */
static NH_TOGETHER _Atomic bool started; /* process_start: one goes on, and nobody waits for it */

/* ---- fork: no lock may be held by a thread that the child does not have ---- */

/* A program with one thread may fork in a handler of a signal, which interrupted the engine,
 * perhaps.  It goes on there afterwards, in parent and child, with what it had in hand: what it
 * has locked is left as it is. */

static NH_TOGETHER bool is_forked; /* written in the child, while it has one thread */
/* Of the fork under way; guarded by all locks. */
static NH_TOGETHER bool interrupted; /* in the engine, with locks */
static NH_TOGETHER bool cpus_closed; /* by fork_prepare */
static NH_TOGETHER unsigned inner;   /* forks by handlers that run during this one */
static struct signals {
    sigset_t before; /* what was blocked */
    bool blocked;
} signals;

bool process_is_forked(void)
{
    return is_forked;
}

/* glibc's fork takes the lock of the list of streams after our handlers, and its own malloc's
 * locks after that: a thread that has it and waits for a stream, which another has who allocates,
 * would wait for us, and we for it.  So we take it first, where there are threads; it may be taken
 * again.  (Others' C libraries do not have it.) */
extern char __libc_single_threaded __attribute__((weak));
extern void _IO_list_lock(void) __attribute__((weak));
extern void _IO_list_unlock(void) __attribute__((weak));
extern void _IO_list_resetlock(void) __attribute__((weak));

/* Whether the thread's forks under way have that lock: a bit each, the innermost's the lowest. */
static _Thread_local __attribute__((tls_model("initial-exec"))) unsigned streams;

static bool is_alone(void)
{
    return &__libc_single_threaded != NULL && __libc_single_threaded != 0;
}

static void lock_streams(void)
{
    bool locks = _IO_list_lock != NULL && !is_alone();
    if (locks)
        _IO_list_lock();
    streams = streams << 1 | locks;
}

/* Whether the innermost fork has it; it is the one around that from now on. */
static bool had_streams(void)
{
    bool had = (streams & 1) != 0;
    streams >>= 1;
    return had;
}

static void unlock_streams(void)
{
    if (had_streams())
        _IO_list_unlock();
}

/* fork itself does so where there were threads; forks around this one, by a handler, have it
 * still. */
static void reset_streams(void)
{
    if (!had_streams())
        return;
    _IO_list_resetlock();
    for (int around = __builtin_popcount(streams); around > 0; around--)
        _IO_list_lock();
}

/* Signals wait from fork's beginning to its end, in parent and child: what a handler's siglongjmp
 * or exit leaves in between keeps all locks.  They are likely to come just then, since the C
 * library blocks them for the system call itself.  Not those that an instruction raises. */
static struct signals block_signals(void)
{
    static const int raised[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT};
    struct signals was;
    sigset_t set;
    sigfillset(&set);
    for (size_t i = 0; i < sizeof raised / sizeof *raised; i++)
        sigdelset(&set, raised[i]);
    was.blocked = pthread_sigmask(SIG_BLOCK, &set, &was.before) == 0;
    return was;
}

static void unblock_signals(const struct signals *was)
{
    if (was->blocked)
        (void)pthread_sigmask(SIG_SETMASK, &was->before, NULL);
}

NH_STATIC((NH_CLASSES + LOCK_RANKS) * NH_HEAPS < LOCK_INSIDE / 2, "fork's locks can be counted");

static void fork_prepare(void)
{
    if ((lock_depth & LOCK_FORKING) != 0) {
        lock_streams();
        inner++;
        return;
    }
    struct signals was = block_signals();
    lock_streams();
    bool inside = lock_depth != 0;
    if (inside)
        lock_depth += LOCK_INSIDE;
    lock_rank_suspend();
    heap_creation_lock(); /* from here on there are no new heaps */
    for (struct heap *heap = NULL; (heap = heap_after(heap)) != NULL;)
        lock_acquire_again(&heap->reclaiming);
    cache_registry_fork_lock();
    bool closed = !inside && cpu_cache_close();
    heap_asking_lock();
    for (struct heap *heap = NULL; (heap = heap_after(heap)) != NULL;)
        heap_lock_all(heap);
    span_table_lock();
    special_lock_all();
    profile_lock();
    guard_lock();
    memcheck_lock();
    harden_lock_all();
    lock_depth |= LOCK_FORKING; /* what handlers fork from here on is inner */
    atomic_signal_fence(memory_order_seq_cst);
    signals = was;
    interrupted = inside;
    cpus_closed = closed;
}

static void fork_release(void)
{
    bool inside = interrupted, closed = cpus_closed;
    atomic_signal_fence(memory_order_seq_cst);
    lock_depth &= ~LOCK_FORKING;
    harden_unlock_all();
    memcheck_unlock();
    guard_unlock();
    profile_unlock();
    special_unlock_all();
    span_table_unlock();
    for (unsigned slot = NH_HEAPS; slot-- > 0;)
        if (heap_if_exists(slot) != NULL)
            heap_unlock_all(heap_if_exists(slot));
    heap_asking_unlock();
    if (closed)
        cpu_cache_open();
    cache_registry_fork_unlock();
    for (unsigned slot = NH_HEAPS; slot-- > 0;)
        if (heap_if_exists(slot) != NULL)
            lock_release_again(&heap_if_exists(slot)->reclaiming);
    heap_creation_unlock();
    lock_rank_resume();
    if (inside)
        lock_depth -= LOCK_INSIDE;
}

static void fork_parent(void)
{
    if (inner != 0) {
        inner--;
        unlock_streams();
        return;
    }
    struct signals was = signals;
    fork_release();
    unlock_streams();
    unblock_signals(&was);
}

/* What other threads had in hand is forgotten, where nobody is in the midst of it. */
static void forget_threads(void)
{
    for (struct heap *heap = NULL; (heap = heap_after(heap)) != NULL;)
        page_heap_fork_child(&heap->pages);
    cache_registry_only(nh_thread.cache);
    if (cpu_caches_used() && !cpus_closed)
        cpu_cache_forget();
}

static void fork_child(void)
{
    is_forked = true;
    harden_fork_child();
    if (inner != 0) {
        inner--;
        reset_streams();
        attendant_fork_child(false);
        return;
    }
    bool whole = !interrupted;
    struct signals was = signals;
    if (whole)
        forget_threads();
    profile_fork_child();
    guard_report_fork_child();
    fork_release();
    reset_streams();
    attendant_fork_child(whole);
    unblock_signals(&was);
}

bool process_boot(void)
{
    if (nh_likely(atomic_load_explicit(&booted, memory_order_acquire)))
        return true;
    lock_acquire(&boot_lock);
    if (!atomic_load_explicit(&booted, memory_order_relaxed)) {
        span_table_boot(); /* before anything near it is written */
        log_boot();
        options_load();
        topology_boot(options_text(OPT_TOPOLOGY));
        placement_boot((enum placement_policy)options_get(OPT_POLICY),
                       options_text(OPT_INTERLEAVE_NODES));
        (void)usable_refresh();
        node_limit_check();
        harden_boot();
        cache_init();
        memcheck_boot();
        atomic_store_explicit(&booted, true, memory_order_release);
    }
    lock_release(&boot_lock);
    /* At the first allocation, before any library's constructor: handlers that
     * others register later, and that may allocate, run before ours hold the
     * locks and after they let go.  It may allocate itself; then it comes back
     * here and finds that it is done. */
    static NH_TOGETHER _Atomic bool registered;
    if (!atomic_exchange_explicit(&registered, true, memory_order_relaxed))
        (void)pthread_atfork(fork_prepare, fork_parent, fork_child);
    return true;
}

void process_start(void)
{
    process_boot();
    if (atomic_exchange_explicit(&started, true, memory_order_acq_rel))
        return;
    const char *spec = options_text(OPT_TOPOLOGY);
    if ((topology_now()->slots > 1 || *spec != '\0') && topology_discover(spec)) {
        (void)usable_refresh(); /* the nearest are known now */
        cache_flush();          /* what this thread got before was of a guessed node */
    }
    profile_begin();
    guard_begin();
    attendant_begin();
}

__attribute__((constructor)) static void construct(void)
{
    process_start();
}

__attribute__((destructor)) static void destruct(void)
{
    attendant_end();
    /* exit() in a signal handler that interrupted the engine: the locks that
     * this thread holds will not be released. */
    if (lock_depth != 0)
        return;
    stats_at_exit();
    profile_at_exit();
    /* Objects that this thread and the depots hold go through the checks of their spans, so
     * that a double free is found even by a program about to end. */
    if (options_get(OPT_BAD_FREE) != BAD_FREE_IGNORE)
        heap_reclaim_everything();
    leaks_at_exit();
}
