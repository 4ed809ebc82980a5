/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * bench.h - Google Benchmark for programs written in C.
 *
 * A benchmark is a function that prepares, loops while bench_keep_running
 * says so, and reports:
 *
 *     static void pair(struct bench_state *state)
 *     {
 *         size_t size = (size_t)bench_range(state, 0);
 *         while (bench_keep_running(state)) {
 *             void *p = malloc(size);
 *             bench_use(p);
 *             free(p);
 *         }
 *         bench_items(state, bench_iterations(state));
 *     }
 *
 *     int main(int argc, char **argv)
 *     {
 *         struct bench *b = bench_register("pair", pair);
 *         bench_arg(b, 64);
 *         return bench_main(argc, argv);
 *     }
 *
 * The program then takes every --benchmark_ option of the library, among them
 * --benchmark_filter, --benchmark_min_time and --benchmark_format=json.
 *
 * What lies before the loop and after it is not timed.  With several threads
 * the function runs once in each, and all enter the loop together.  All
 * threads of a run make the same number of iterations.
 */
#ifndef NH_BENCH_H
#define NH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Registering: from main, before bench_main --------------------------- */

/* A registered benchmark.  Lives as long as the process; never freed. */
struct bench;
/* What a running benchmark is given; its thread's own. */
struct bench_state;

typedef void bench_fn(struct bench_state *state);

/* Adds a benchmark.  `name` is copied.  Every function below that takes a
 * struct bench refines the one it is given. */
struct bench *bench_register(const char *name, bench_fn *fn);

/* Run once more with this argument; bench_range(state, 0) returns it. */
void bench_arg(struct bench *b, int64_t value);
/* Run once more with these `count` arguments, numbered from 0.  Every run of
 * a benchmark must have as many. */
void bench_args(struct bench *b, const int64_t *values, size_t count);
/* Run for first, first * factor, and so on up to last, and for last itself. */
void bench_arg_range(struct bench *b, int64_t first, int64_t last, int factor);
/* How printed names call the arguments, one name for each. */
void bench_arg_names(struct bench *b, const char *const *names, size_t count);
/* Run once more, with so many threads.  Without it: one thread. */
void bench_with_threads(struct bench *b, int threads);
/* Rates are by elapsed time, not by processor time: for runs with threads. */
void bench_real_time(struct bench *b);
/* Least seconds to run for, unless the command line says otherwise. */
void bench_min_time(struct bench *b, double seconds);
enum bench_curve {
    BENCH_FLAT, /* O(1) */
    BENCH_LOG_N
};
/* Fit the times to this curve of bench_complexity_n; printed are the curve's
 * factor and how far, as root mean square, the times are from it.  Not for what may
 * be skipped with all its arguments: version 1.7 of the library crashes then. */
void bench_complexity(struct bench *b, enum bench_curve curve);

/* Parses the command line, runs what it selects and prints.  Returns what
 * main should: 0, or 1 when an argument was not understood (which is printed). */
int bench_main(int argc, char **argv);

/* ---- Running: from the benchmark's own thread ---------------------------- */

/* Not for callers: what bench_keep_running needs inline. */
struct bench_state {
    int64_t left; /* iterations still to go of those handed out */
    void *impl;
};
bool bench_next_(struct bench_state *state);

/* True as often as the library wants the loop run.  The clock starts with the
 * first call and stops with the call that returns false; leave the loop in no
 * other way but bench_skip and return.  Costs a load, a store and a branch: the
 * library hands out all iterations of a run at once. */
static inline bool bench_keep_running(struct bench_state *state)
{
    if (__builtin_expect(state->left > 0, 1)) {
        state->left--;
        return true;
    }
    return bench_next_(state);
}

/* The same for a loop whose body does `count` operations: an iteration is then
 * one of them, in what is printed and fitted.  A call into the library, some
 * nanoseconds.  A benchmark uses either this or bench_keep_running. */
bool bench_keep_running_batch(struct bench_state *state, int64_t count);

/* Argument number `index` of this run; the process ends by a failed assertion
 * if the benchmark was registered with fewer. */
int64_t bench_range(const struct bench_state *state, size_t index);
/* This thread's number from 0, and how many there are. */
int bench_thread_index(const struct bench_state *state);
int bench_threads(const struct bench_state *state);
/* Iterations made: after the loop all of them. */
int64_t bench_iterations(const struct bench_state *state);

/* Inside the loop: stop this thread's clock and start it again.  Each pair
 * costs some 100 ns that the result includes, so do not use it for less than
 * some microseconds of work. */
void bench_pause(struct bench_state *state);
void bench_resume(struct bench_state *state);

/* Before, in or after the loop: give up and print `why` instead of a result.
 * bench_keep_running returns false from then on. */
void bench_skip(struct bench_state *state, const char *why);

/* After the loop: this thread's items or bytes, printed as a rate; the sum
 * over the threads counts. */
void bench_items(struct bench_state *state, int64_t items);
void bench_bytes(struct bench_state *state, int64_t bytes);
/* After the loop: the size that bench_complexity fits against. */
void bench_complexity_n(struct bench_state *state, int64_t n);
/* After the loop: a text printed at the end of the line. */
void bench_label(struct bench_state *state, const char *text);

enum bench_counter {
    BENCH_SUM,    /* added up over the threads */
    BENCH_MEAN,   /* averaged over the threads */
    BENCH_RATE,   /* added up, divided by the seconds */
    BENCH_PER_RUN /* added up, divided by the iterations */
};
/* After the loop: a value of one's own in the printed line. */
void bench_count(struct bench_state *state, const char *name, double value,
                 enum bench_counter kind);

/* The compiler must compute `pointer` and may not guess what it points to: so
 * it cannot drop a malloc whose result is not used. */
static inline void bench_use(const void *pointer)
{
    __asm__ volatile("" : : "r"(pointer) : "memory");
}

/* The compiler must compute `number`. */
static inline void bench_use_number(uint64_t number)
{
    __asm__ volatile("" : : "r"(number));
}

#ifdef __cplusplus
}
#endif

#endif
