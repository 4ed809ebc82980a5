/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * base.h - compiler attributes, checks, and arithmetic used everywhere.
 *
 * Three costs of checking: NH_STATIC (none), nh_assert (debug builds only),
 * nh_require (always; for what must stop the process at once because memory
 * would be corrupted if it went on).
 */
#ifndef NH_BASE_H
#define NH_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define nh_likely(x)   __builtin_expect(!!(x), 1)
#define nh_unlikely(x) __builtin_expect(!!(x), 0)
#define NH_INLINE      static inline __attribute__((always_inline))
/* Out of line and away from the hot code. */
#define NH_SLOW     __attribute__((noinline, cold))
#define NH_NOINLINE __attribute__((noinline))
/* Begins with a cache line of its own, so that what it costs does not depend on its
 * neighbours. */
#define NH_FAST __attribute__((aligned(64)))

/* Of a variable that every process writes: it lies with the others such, and not among tables
 * of which little is ever touched, where each would make a page of its own resident. */
#define NH_TOGETHER __attribute__((section(".data.nh_together")))

/* Reads what others may be writing; the caller finds out whether that was so, and then
 * uses nothing of it.  ThreadSanitizer is not asked. */
#ifdef __SANITIZE_THREAD__
#define NH_RACY static __attribute__((noinline, no_sanitize("thread")))
#else
#define NH_RACY NH_INLINE
#endif

/* Asks for the cache line at an address, to write it soon; any address will do.  (The compiler's
 * builtin asks to read it on x86-64, and the write would wait for the other CPUs again.  On
 * processors without the instruction it does nothing.) */
NH_INLINE void fetch_to_write(const void *at)
{
#ifdef __x86_64__
    __asm__ volatile("prefetchw (%0)" : : "r"(at));
#else
    __builtin_prefetch(at, 1);
#endif
}

#define NH_STATIC(condition, text) _Static_assert(condition, text)

/* Prints where and what, then aborts; never returns.  Defined in log.c. */
_Noreturn void nh_check_failed(const char *file, int line, const char *what);

#define nh_require(condition)                                                                      \
    (nh_likely(condition) ? (void)0 : nh_check_failed(__FILE__, __LINE__, #condition))
#ifdef NH_DEBUG
#define nh_assert(condition) nh_require(condition)
#else
#define nh_assert(condition) ((void)sizeof(condition))
#endif

NH_INLINE size_t round_up(size_t n, size_t power_of_two)
{
    return (n + power_of_two - 1) & ~(power_of_two - 1);
}

NH_INLINE size_t round_down(size_t n, size_t power_of_two)
{
    return n & ~(power_of_two - 1);
}

NH_INLINE bool is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

#endif
