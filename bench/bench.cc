// SPDX-License-Identifier: LGPL-2.1-or-later
//
// bench.cc - bench.h on Google Benchmark; all the C++ there is in bench/.

#include "bench.h"

// The library's header checks its callers, bench_range's among them, by assert.
#undef NDEBUG
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

namespace
{

// struct bench is only ever a name for the library's own object.
benchmark::internal::Benchmark *library(struct bench *b)
{
    return reinterpret_cast<benchmark::internal::Benchmark *>(b);
}

benchmark::State &library(const struct bench_state *state)
{
    return *static_cast<benchmark::State *>(state->impl);
}

benchmark::Counter::Flags flags_of(enum bench_counter kind)
{
    switch (kind) {
    case BENCH_MEAN:
        return benchmark::Counter::kAvgThreads;
    case BENCH_RATE:
        return benchmark::Counter::kIsRate;
    case BENCH_PER_RUN:
        return benchmark::Counter::kAvgIterations;
    case BENCH_SUM:
        break;
    }
    return benchmark::Counter::kDefaults;
}

benchmark::BigO curve_of(enum bench_curve curve)
{
    switch (curve) {
    case BENCH_FLAT:
        return benchmark::o1;
    case BENCH_LOG_N:
        break;
    }
    return benchmark::oLogN;
}

} // namespace

struct bench *bench_register(const char *name, bench_fn *fn)
{
    auto *made = benchmark::RegisterBenchmark(name, [fn](benchmark::State &state) {
        struct bench_state c_state = {0, &state};
        fn(&c_state);
    });
    return reinterpret_cast<struct bench *>(made);
}

void bench_arg(struct bench *b, int64_t value)
{
    library(b)->Arg(value);
}

void bench_args(struct bench *b, const int64_t *values, size_t count)
{
    library(b)->Args(std::vector<int64_t>(values, values + count));
}

void bench_arg_range(struct bench *b, int64_t first, int64_t last, int factor)
{
    library(b)->RangeMultiplier(factor)->Range(first, last);
}

void bench_arg_names(struct bench *b, const char *const *names, size_t count)
{
    library(b)->ArgNames(std::vector<std::string>(names, names + count));
}

void bench_with_threads(struct bench *b, int threads)
{
    library(b)->Threads(threads);
}

void bench_real_time(struct bench *b)
{
    library(b)->UseRealTime();
}

void bench_min_time(struct bench *b, double seconds)
{
    library(b)->MinTime(seconds);
}

void bench_complexity(struct bench *b, enum bench_curve curve)
{
    library(b)->Complexity(curve_of(curve));
}

int bench_main(int argc, char **argv)
{
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 1;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}

bool bench_next_(struct bench_state *state)
{
    benchmark::State &s = library(state);
    // The first call takes the whole run as one batch, the second ends it.
    if (!s.KeepRunningBatch(s.max_iterations))
        return false;
    state->left = s.max_iterations - 1;
    return true;
}

bool bench_keep_running_batch(struct bench_state *state, int64_t count)
{
    return library(state).KeepRunningBatch(count);
}

int64_t bench_range(const struct bench_state *state, size_t index)
{
    return library(state).range(index);
}

int bench_thread_index(const struct bench_state *state)
{
    return library(state).thread_index();
}

int bench_threads(const struct bench_state *state)
{
    return library(state).threads();
}

int64_t bench_iterations(const struct bench_state *state)
{
    return library(state).iterations() - state->left;
}

void bench_pause(struct bench_state *state)
{
    library(state).PauseTiming();
}

void bench_resume(struct bench_state *state)
{
    library(state).ResumeTiming();
}

void bench_skip(struct bench_state *state, const char *why)
{
    library(state).SkipWithError(why);
    state->left = 0;
}

void bench_items(struct bench_state *state, int64_t items)
{
    library(state).SetItemsProcessed(items);
}

void bench_bytes(struct bench_state *state, int64_t bytes)
{
    library(state).SetBytesProcessed(bytes);
}

void bench_complexity_n(struct bench_state *state, int64_t n)
{
    library(state).SetComplexityN(n);
}

void bench_label(struct bench_state *state, const char *text)
{
    library(state).SetLabel(text);
}

void bench_count(struct bench_state *state, const char *name, double value, enum bench_counter kind)
{
    library(state).counters[name] = benchmark::Counter(value, flags_of(kind));
}
