/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * lock.c - the sleeping side of lock.h, and the check of ranks.
 */
#include "lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Spins before sleeping: about the length of the longest common critical
 * section, and only worth it while the holder runs on another CPU. */
#define LOCK_SPINS 300

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

_Thread_local unsigned lock_depth;

void lock_init(struct lock *lock, enum lock_rank rank)
{
    atomic_store_explicit(&lock->word, 0, memory_order_relaxed);
#ifdef NH_DEBUG
    lock->rank = rank;
#else
    (void)rank;
#endif
}

void lock_wait(struct lock *lock)
{
    if ((lock_depth & LOCK_FORKING) != 0)
        return; /* it is ours */
    for (int spin = 0; spin < LOCK_SPINS; spin++) {
        uint32_t expected = 0;
        if (atomic_load_explicit(&lock->word, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_weak_explicit(&lock->word, &expected, lock_owned(),
                                                  memory_order_acquire, memory_order_relaxed))
            return;
        cpu_relax();
    }
    int saved = errno;
    uint32_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);
    for (;;) {
        /* Others may sleep beside us: who had to wait takes it as one that somebody waits for. */
        uint32_t next = (word != 0 ? word : lock_owned()) | LOCK_SLEEPERS;
        if (next != word &&
            !atomic_compare_exchange_weak_explicit(&lock->word, &word, next, memory_order_acquire,
                                                   memory_order_relaxed))
            continue;
        if (word == 0)
            break;
        syscall(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, next, NULL, NULL, 0);
        word = atomic_load_explicit(&lock->word, memory_order_relaxed);
    }
    errno = saved;
}

void lock_wake(struct lock *lock)
{
    int saved = errno;
    syscall(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    errno = saved;
}

/* Whether it is the thread's, so that nobody else changes the word, but for LOCK_SLEEPERS. */
static bool has_already(uint32_t word)
{
    return lock_depth >= LOCK_INSIDE && word != 0 && (word & ~(LOCK_OWNER - 1)) == lock_owner();
}

void lock_acquire_again(struct lock *lock)
{
    uint32_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);
    /* A handler of fork's that took it before needs not have released it. */
    if ((lock_depth & LOCK_FORKING) != 0 || !has_already(word)) {
        lock_acquire(lock);
        return;
    }
    nh_require((word & LOCK_TIMES_MASK) != LOCK_TIMES_MASK);
    lock_depth++;
    atomic_fetch_add_explicit(&lock->word, LOCK_TIMES, memory_order_relaxed);
}

void lock_release_again(struct lock *lock)
{
    if ((atomic_load_explicit(&lock->word, memory_order_relaxed) & LOCK_TIMES_MASK) <= LOCK_TIMES) {
        lock_release(lock);
        return;
    }
    lock_depth--;
    atomic_fetch_sub_explicit(&lock->word, LOCK_TIMES, memory_order_relaxed);
}

#ifdef NH_DEBUG
static _Thread_local __attribute__((tls_model("initial-exec"))) uint32_t held_ranks;
static _Thread_local __attribute__((tls_model("initial-exec"))) uint32_t suspended;

void lock_rank_push(const struct lock *lock)
{
    if (suspended)
        return;
    nh_require((held_ranks >> lock->rank) == 0);
    held_ranks |= 1U << lock->rank;
}

void lock_rank_pop(const struct lock *lock)
{
    if (suspended)
        return;
    nh_require((held_ranks >> lock->rank & 1U) != 0);
    held_ranks &= ~(1U << lock->rank);
}

void lock_rank_suspend(void)
{
    suspended++;
}

void lock_rank_resume(void)
{
    suspended--;
}
#else
void lock_rank_suspend(void)
{
}

void lock_rank_resume(void)
{
}
#endif
