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
            atomic_compare_exchange_weak_explicit(&lock->word, &expected, 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return;
        cpu_relax();
    }
    int saved = errno;
    while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0)
        syscall(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
    errno = saved;
}

void lock_wake(struct lock *lock)
{
    int saved = errno;
    syscall(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    errno = saved;
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
    suspended = 1;
}

void lock_rank_resume(void)
{
    suspended = 0;
}
#else
void lock_rank_suspend(void)
{
}

void lock_rank_resume(void)
{
}
#endif
