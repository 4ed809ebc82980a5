/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit_sampling.c - chances are those of the formula to the last bits, and what the counts
 * of a row choose is chosen with that chance, whatever was chosen before, and whatever it is
 * chosen for otherwise.
 */
#include "sampling.h"
#include "size_class.h"

#include <math.h>

#include "unit.h"

/* The chance that a right sampler is so far off, to one side: five deviations, where its hits are
 * many. */
#define TAIL 2.9e-7

static void chances(void **state)
{
    (void)state;
    for (uint64_t rate = 1; rate <= UINT64_C(1) << 40; rate = rate * 3 + 1) {
        sampling_start(SAMPLING_PROFILE, rate);
        for (size_t bytes = 1; bytes <= (size_t)1 << 40; bytes = bytes * 2 + 3) {
            double right = -expm1(-(double)bytes / (double)rate);
            assert_true(fabs(sampling_chance(SAMPLING_PROFILE, bytes) / right - 1) < 1e-12);
        }
    }
}

/* The chance of so many hits or of more, further from the mean, by the binomial distribution: its
 * terms from there on, each from the one before. */
static double tail(size_t hits, size_t n, double p)
{
    bool more = (double)hits > p * (double)n;
    if (!more) { /* the same of misses */
        hits = n - hits;
        p = 1 - p;
    }
    double k = (double)hits, all = (double)n;
    double term = exp(lgamma(all + 1) - lgamma(k + 1) - lgamma(all - k + 1) + k * log(p) +
                      (all - k) * log1p(-p));
    double sum = 0;
    for (; k <= all && term > sum * 1e-9; k++) {
        sum += term;
        term *= (all - k) / (k + 1) * p / (1 - p);
    }
    return sum;
}

/* `n` tries had so many hits, each with a chance of `p`. */
static void assert_chance(size_t hits, size_t n, double p)
{
    if (p < 1)
        assert_true(tail(hits, n, p) > TAIL);
    else
        assert_int_equal(hits, n);
}

static void assert_share(size_t hits, size_t n, size_t bytes)
{
    assert_chance(hits, n, sampling_chance(SAMPLING_PROFILE, bytes));
}

static bool try_malloc(struct row_sampling *row, size_t bytes)
{
    /* As the fast path. */
    int64_t left = atomic_load(&row->mallocs_left) - 1;
    atomic_store(&row->mallocs_left, left);
    return left == 0 && sampling_malloc_due(row) && sampling_hit_malloc(row, size_class_of(bytes));
}

static bool try_bytes(struct row_sampling *row, size_t bytes)
{
    int64_t left = atomic_load(&row->bytes_left) - (int64_t)bytes;
    atomic_store(&row->bytes_left, left);
    return left < 0 && sampling_hit_bytes(row, bytes);
}

static bool try_alone(struct row_sampling *row, size_t bytes)
{
    (void)row;
    return sampling_hit(bytes);
}

/* Sizes in turn on one row, each of which must have its own share; and after a hit, when
 * counts begin anew, the next is hit as often as any. */
static void shares(bool (*try)(struct row_sampling *row, size_t bytes), const size_t *sizes,
                   size_t count, uint64_t rate, size_t n)
{
    static struct row_sampling row;
    size_t hits[8] = {0}, after = 0, again = 0;
    sampling_start(SAMPLING_PROFILE, rate);
    row_sampling_reset(&row);
    bool before = false;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < count; k++) {
            bool hit = try(&row, sizes[k]);
            hits[k] += hit;
            if (k == 0) {
                after += before;
                again += before && hit;
            }
            before = hit;
        }
    for (size_t k = 0; k < count; k++)
        assert_share(hits[k], n, sizes[k]);
    assert_true(after > 100);
    assert_share(again, after, sizes[0]);
}

static void counts(void **state)
{
    (void)state;
    static const size_t small[] = {16, 1024, 512, 16, 64};
    static const size_t medium[] = {1040, 65536, 3000};
    static const size_t large[] = {73728, 1 << 20};
    shares(try_malloc, small, 5, 2000, 100000);
    shares(try_malloc, small, 5, 20, 100000);
    shares(try_malloc, small, 5, 1, 10000);
    shares(try_bytes, medium, 3, 30000, 100000);
    shares(try_bytes, medium, 3, 1000, 100000);
    shares(try_alone, large, 2, 524288, 100000);
}

/* The first allocations of a row are chosen as all are. */
static void beginnings(void **state)
{
    (void)state;
    size_t hits = 0, hits_by_bytes = 0;
    for (size_t i = 0; i < 100000; i++) {
        struct row_sampling row;
        sampling_start(SAMPLING_PROFILE, 1000);
        row_sampling_reset(&row);
        hits += try_malloc(&row, 400);
        hits_by_bytes += try_bytes(&row, 400);
    }
    assert_share(hits, 100000, 400);
    assert_share(hits_by_bytes, 100000, 400);
}

/* Each purpose is hit as often as it would be alone, and both together as often as they are by
 * chance. */
static void both(bool (*try)(struct row_sampling *row, size_t bytes), const size_t *sizes,
                 size_t count, uint64_t rate, uint64_t other, size_t n)
{
    static struct row_sampling row;
    size_t profile[8] = {0}, guard[8] = {0}, either[8] = {0}, two[8] = {0};
    sampling_start(SAMPLING_PROFILE, rate);
    sampling_start(SAMPLING_GUARD, other);
    row_sampling_reset(&row);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < count; k++) {
            if (!try(&row, sizes[k]))
                continue;
            unsigned whose = sampling_whose(sizes[k]);
            bool for_profile = (whose & 1U << SAMPLING_PROFILE) != 0;
            bool for_guard = (whose & 1U << SAMPLING_GUARD) != 0;
            profile[k] += for_profile;
            guard[k] += for_guard;
            either[k] += for_profile || for_guard;
            two[k] += for_profile && for_guard;
        }
    for (size_t k = 0; k < count; k++) {
        double p = sampling_chance(SAMPLING_PROFILE, sizes[k]);
        double g = sampling_chance(SAMPLING_GUARD, sizes[k]);
        assert_chance(profile[k], n, p);
        assert_chance(guard[k], n, g);
        assert_chance(two[k], n, p * g);
        assert_chance(either[k], n, p + g - p * g);
    }
}

static void purposes(void **state)
{
    (void)state;
    static const size_t small[] = {256, 1024, 512, 64};
    static const size_t medium[] = {1040, 65536, 3000};
    both(try_malloc, small, 4, 2000, 5000, 100000);
    both(try_malloc, small, 4, 3000, 300, 100000);
    both(try_bytes, medium, 3, 20000, 50000, 100000);
    both(try_alone, medium, 3, 100000, 20000, 100000);
    /* One stops, and the other goes on as before. */
    sampling_stop(SAMPLING_GUARD);
    shares(try_malloc, small, 4, 2000, 100000);
    assert_int_equal(sampling_whose(16), 1U << SAMPLING_PROFILE);
    sampling_stop(SAMPLING_PROFILE);
    assert_int_equal(sampling_whose(16), 0);
    struct row_sampling row;
    row_sampling_reset(&row);
    for (size_t i = 0; i < 1000; i++)
        assert_false(try_bytes(&row, 65536) || try_alone(&row, 65536));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chances),
        cmocka_unit_test(counts),
        cmocka_unit_test(beginnings),
        cmocka_unit_test(purposes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
