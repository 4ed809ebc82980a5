/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * sampling.c - see sampling.h.
 *
 * Logarithm and exponential are computed here: libm would be one more library in every
 * process, and they are needed once a sample.
 */
#include "sampling.h"

#include "os.h"
#include "size_class.h"
#include "splitmix.h"

#include <time.h>

_Atomic unsigned sampling_purposes;

/* Constant between two starts; relaxed. */
static _Atomic uint64_t rates[SAMPLING_PURPOSES] = {1, 1};
/* Counts starts, so that a row knows whether its counts are of this one; relaxed. */
static _Atomic uint32_t start_count;

/* Of the parts of line with a point, those whose first point lies on an object of the
 * class, times 2^SHARE_BITS; constant and relaxed as rates. */
#define SHARE_BITS 32
static _Atomic uint64_t small_share[NH_SMALL_CLASSES + 1];

/* A distance that is never reached; its bytes can be counted. */
#define NEVER 0x1p62

uint64_t sampling_rate(enum sampling_purpose purpose)
{
    return atomic_load_explicit(&rates[purpose], memory_order_relaxed);
}

/* Points of all purposes a byte. */
static double density(void)
{
    unsigned purposes = sampling_for_any();
    double sum = 0;
    for (int purpose = 0; purpose < SAMPLING_PURPOSES; purpose++)
        if ((purposes & 1U << purpose) != 0)
            sum += 1 / (double)sampling_rate((enum sampling_purpose)purpose);
    return sum;
}

/* ---- Arithmetic ---- */

#define LN_2 0.693147180559945309417

/* ln(x) of a normal number: x = m * 2^e with m in [1/sqrt 2, sqrt 2), and the series of
 * 2 artanh((m - 1) / (m + 1)), whose terms fall by a factor of 34 at least. */
static double logarithm(double x)
{
    union {
        double number;
        uint64_t bits;
    } it = {.number = x};
    int e = (int)(it.bits >> 52) - 1023;
    it.bits = (it.bits & (UINT64_MAX >> 12)) | (UINT64_C(1023) << 52);
    if (it.number > 1.41421356237309504880) {
        it.number /= 2;
        e++;
    }
    double z = (it.number - 1) / (it.number + 1), power = z, sum = 0;
    for (int k = 1; k <= 19; k += 2) {
        sum += power / k;
        power *= z * z;
    }
    return e * LN_2 + 2 * sum;
}

/* 1 - exp(-x) without cancellation: halved until the series converges at once, then
 * 1 - exp(-2y) = (1 - exp(-y)) (1 + exp(-y)) as often. */
static double chance_of(double x)
{
    if (x > 40)
        return 1; /* to the last bit */
    int halvings = 0;
    for (; x > 1.0 / 64; halvings++)
        x /= 2;
    double p = x * (1 - x / 2 * (1 - x / 3 * (1 - x / 4 * (1 - x / 5 * (1 - x / 6)))));
    for (; halvings > 0; halvings--)
        p *= 2 - p;
    return p;
}

double sampling_chance(enum sampling_purpose purpose, size_t bytes)
{
    return chance_of((double)bytes / (double)sampling_rate(purpose));
}

/* The purposes or their rates have changed. */
static void derive(void)
{
    double all = density();
    for (unsigned cls = 1; all > 0 && cls <= NH_SMALL_CLASSES; cls++) {
        double share =
            chance_of((double)size_class_bytes(cls) * all) / chance_of((double)NH_SMALL_MAX * all);
        atomic_store_explicit(&small_share[cls],
                              (uint64_t)(share * (double)(UINT64_C(1) << SHARE_BITS) + 0.5),
                              memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&start_count, 1, memory_order_relaxed);
}

void sampling_start(enum sampling_purpose purpose, uint64_t rate)
{
    atomic_store_explicit(&rates[purpose], rate, memory_order_relaxed);
    atomic_fetch_or_explicit(&sampling_purposes, 1U << purpose, memory_order_release);
    derive();
}

void sampling_stop(enum sampling_purpose purpose)
{
    atomic_fetch_and_explicit(&sampling_purposes, ~(1U << purpose), memory_order_relaxed);
    derive();
}

/* ---- Chance ---- */

/* Of each thread its own stream. */
uint64_t sampling_random(void)
{
    static _Thread_local __attribute__((tls_model("initial-exec"))) uint64_t state;
    if (nh_unlikely(state == 0)) {
        state = (uint64_t)(uintptr_t)&state * UINT64_C(0xd1342543de82ef95) ^
                os_clock_ns(CLOCK_MONOTONIC);
    }
    return splitmix(&state);
}

/* Above 0 and at most 1. */
static double uniform(void)
{
    return (double)((sampling_random() >> 11) + 1) * 0x1p-53;
}

/* Bytes to the next point, from any place. */
static double distance(void)
{
    double all = density();
    double bytes = all > 0 ? -logarithm(uniform()) / all : NEVER;
    return bytes < NEVER ? bytes : NEVER;
}

/* ---- Counts ---- */

static bool begins(_Atomic uint32_t *seen)
{
    uint32_t now = atomic_load_explicit(&start_count, memory_order_relaxed);
    if (nh_likely(atomic_load_explicit(seen, memory_order_relaxed) == now))
        return false;
    atomic_store_explicit(seen, now, memory_order_relaxed);
    return true;
}

/* How many mallocs get parts of line without a point before one gets a part with one. */
static int64_t mallocs_before(void)
{
    return (int64_t)(distance() / (double)NH_SMALL_MAX);
}

bool sampling_hit_malloc(struct row_sampling *row, unsigned cls)
{
    int64_t before = 0;
    if (begins(&row->mallocs_seen))
        before = mallocs_before(); /* as if it had been known: this malloc is the first to count */
    atomic_store_explicit(&row->mallocs_next, mallocs_before() + 1, memory_order_relaxed);
    if (before > 0) {
        atomic_store_explicit(&row->mallocs_left, before, memory_order_relaxed);
        return false;
    }
    uint64_t most = atomic_load_explicit(&small_share[cls], memory_order_relaxed);
    return sampling_random() >> (64 - SHARE_BITS) < most;
}

bool sampling_hit_bytes(struct row_sampling *row, size_t bytes)
{
    int64_t left = atomic_load_explicit(&row->bytes_left, memory_order_relaxed);
    if (begins(&row->bytes_seen))
        left = (int64_t)distance() - (int64_t)bytes;
    bool hit = left < 0;
    if (hit)
        left = (int64_t)distance();
    atomic_store_explicit(&row->bytes_left, left, memory_order_relaxed);
    return hit;
}

bool sampling_hit(size_t bytes)
{
    return distance() < (double)bytes;
}

unsigned sampling_whose(size_t bytes)
{
    unsigned purposes = sampling_for_any();
    if (nh_likely((purposes & (purposes - 1)) == 0))
        return purposes;
    double profile = sampling_chance(SAMPLING_PROFILE, bytes);
    double guard = sampling_chance(SAMPLING_GUARD, bytes);
    /* Given that either did. */
    bool by_profile = uniform() * (profile + guard - profile * guard) <= profile;
    bool by_guard = !by_profile || uniform() <= guard;
    return (by_profile ? 1U << SAMPLING_PROFILE : 0) | (by_guard ? 1U << SAMPLING_GUARD : 0);
}
