/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit_profile_frames.c - calls that are found by what is known of frames are those that
 * the unwinder finds: along random ways through functions with frames of all kinds, on
 * several stacks, in handlers of signals.
 *
 * The yardstick is the C library's backtrace, which always asks the unwinder.
 */
#include "unit.h"

#include "profile.h"

#include <alloca.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>

#define DEEPEST 20
#define WALKS   20000

static _Thread_local uint64_t random_state;
static _Thread_local size_t compared;

/* All calls but those of this function itself, in which both are called, and what
 * sanitizers put between it and the C library. */
static __attribute__((noinline)) void compare(void)
{
    uintptr_t ours[PROFILE_FRAMES];
    void *theirs[PROFILE_FRAMES];
    size_t found = profile_frames_take(ours, PROFILE_FRAMES);
    size_t expected = (size_t)backtrace(theirs, PROFILE_FRAMES);
    assert_true(found > 1 && expected < PROFILE_FRAMES);
    assert_in_range(expected, found, found + 1);
    for (size_t i = 1; i < found; i++)
        assert_int_equal(ours[found - i], (uintptr_t)theirs[expected - i] - 1);
    compared++;
}

/* ---- Functions with frames of all kinds ---- */

static void further(unsigned depth);

static __attribute__((noinline)) void constant_frame(unsigned depth)
{
    volatile char room[200];
    room[0] = 1;
    further(depth);
    (void)room[0];
}

static __attribute__((noinline)) void another_constant_frame(unsigned depth)
{
    further(depth);
    __asm__ volatile(""); /* the call is not the last thing */
}

static __attribute__((noinline)) void aligned_frame(unsigned depth)
{
    volatile char room[64] __attribute__((aligned(64)));
    room[0] = 1;
    further(depth);
    (void)room[0];
}

/* Its room holds what it is filled with: addresses of code that returns are called, too. */
static __attribute__((noinline)) void varying_frame(unsigned depth)
{
    size_t bytes = 16 + random_below(&random_state, 500);
    volatile char *room = alloca(bytes);
    for (size_t i = 0; i < bytes; i++)
        room[i] = (char)i;
    further(depth);
    (void)room[0];
}

static __attribute__((noinline)) void further(unsigned depth)
{
    static void (*const functions[])(unsigned) = {constant_frame, another_constant_frame,
                                                  aligned_frame, varying_frame};
    /* Rarely one whose size varies: most stacks have none. */
    size_t kinds = random_below(&random_state, 100) == 0 ? 4 : 2;
    if (depth == 0)
        compare();
    else
        functions[random_below(&random_state, kinds)](depth - 1);
    __asm__ volatile("");
}

static void walk_below(unsigned deepest)
{
    further((unsigned)random_below(&random_state, deepest));
}

static void walks(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        walk_below(DEEPEST);
}

/* ---- Stacks ---- */

static void on_the_first_stack(void **state)
{
    (void)state;
    random_state = 1;
    compared = 0;
    walks(WALKS);
    assert_int_equal(compared, WALKS);
}

static void *in_thread(void *arg)
{
    random_state = (uintptr_t)arg;
    compared = 0;
    walks(WALKS / 4);
    return (void *)compared;
}

static void in_threads(void **state)
{
    (void)state;
    pthread_t threads[2];
    for (uintptr_t round = 0; round < 4; round++) {
        for (uintptr_t i = 0; i < 2; i++)
            assert_int_equal(
                pthread_create(&threads[i], NULL, in_thread, (void *)(2 * round + i + 1)), 0);
        for (uintptr_t i = 0; i < 2; i++) {
            void *result;
            assert_int_equal(pthread_join(threads[i], &result), 0);
            assert_int_equal((uintptr_t)result, WALKS / 4);
        }
    }
}

static ucontext_t outside, inside[2];

static void coroutine(void)
{
    for (;;) {
        walks(1);
        assert_int_equal(swapcontext(&inside[compared % 2], &outside), 0);
    }
}

static void make_coroutine(ucontext_t *it, void *stack, size_t bytes)
{
    assert_int_equal(getcontext(it), 0);
    it->uc_stack.ss_sp = stack;
    it->uc_stack.ss_size = bytes;
    makecontext(it, coroutine, 0);
}

/* The thread goes from stack to stack. */
static void in_coroutines(void **state)
{
    (void)state;
    enum { STACK = 256 << 10 };
    static char stack[2][STACK];
    random_state = 3;
    compared = 0;
    for (size_t i = 0; i < 2; i++)
        make_coroutine(&inside[i], stack[i], STACK);
    while (compared < 1000)
        assert_int_equal(swapcontext(&outside, &inside[(compared + 1) % 2]), 0);
}

static void on_raise(int signal)
{
    (void)signal;
    walk_below(DEEPEST / 2);
}

static __attribute__((noinline)) void raises(unsigned depth)
{
    if (depth == 0)
        (void)raise(SIGUSR1);
    else
        raises(depth - 1);
    __asm__ volatile("");
}

static void in_handlers_of_signals(void **state)
{
    (void)state;
    static char stack[256 << 10];
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    random_state = 4;
    compared = 0;
    assert_int_equal(sigaltstack(&other, NULL), 0);
    for (size_t i = 0; i < 2000; i++) {
        struct sigaction action = {.sa_handler = on_raise, .sa_flags = i % 2 == 0 ? SA_ONSTACK : 0};
        assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
        raises((unsigned)random_below(&random_state, 10));
        walks(1);
    }
    assert_int_equal(compared, 4000);
}

static void no_more_than_asked_for(void **state)
{
    (void)state;
    uintptr_t few[3] = {0, 0, 42}, all[PROFILE_FRAMES];
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(profile_frames_take(few, 2), 2);
        assert_true(profile_frames_take(all, PROFILE_FRAMES) > 2);
        assert_int_equal(few[1], all[1]);
        assert_int_equal(few[2], 42);
    }
}

int main(void)
{
    if (!profile_frames_prepare())
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_the_first_stack),     cmocka_unit_test(in_threads),
        cmocka_unit_test(in_coroutines),          cmocka_unit_test(in_handlers_of_signals),
        cmocka_unit_test(no_more_than_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
