/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * soak.c - a server's days, compressed: does what a process holds grow though what it
 * uses does not?
 *
 * Threads keep objects, as many bytes as the phase wants, and replace them all the time.
 * Phases follow each other in periods that are all alike: small objects, large ones,
 * threads that come and go, objects freed by other threads, a burst, idleness.  In each
 * period another thread holds most, so that nodes fill and drain.  Some objects stay
 * through many phases.  Every object's contents are verified when it is freed.
 *
 * What is resident, the address space and live bytes are sampled at the end of each
 * phase, and calls are timed.  In the end the last quarter is compared with the second one.
 *
 * usage: soak [--seconds N] [--threads N] [--periods N] [--scale X]
 *             [--drift PERCENT] [--slower PERCENT]
 *   --seconds N      so long (default 10)
 *   --threads N      threads that hold objects (default 3)
 *   --periods N      so many periods, a multiple of 16 (default: of 45 s, at least 16)
 *   --scale X        X times the memory (default 1: 60 MiB, and 100 in a burst, of 3 threads)
 *   --drift PERCENT  how much more the last quarter may have than the second (default 2)
 *   --slower PERCENT how much longer the 99th percentile of a malloc or a free may take then
 *                    (default 50): the least of each quarter's rows, for what a busy machine
 *                    adds comes and goes, and a drift stays
 * Status 77 where the two quarters did not have the same live bytes, or calls took longer in
 * the last one while the process had less of the processors.
 */
#include "churn.h"

#include <getopt.h>
#include <limits.h>
#include <pthread.h>
#include <time.h>

#define INTERVALS      CHURN_INTERVALS /* rows of the table; four are a quarter */
#define PERIOD_SECONDS 45U
#define THREADS_MOST   64U

struct sample {
    double live, resident, addresses; /* bytes */
};

/* Percent less processor time than before, from which on what takes longer is not judged. */
#define LESS_TIME 15

/* Of an interval: sums over its samples, and the most of them. */
struct row {
    unsigned samples;
    struct sample sum, most;
    uint64_t time_ns; /* of all processors that the process had until its end */
};

static unsigned seconds = 10, threads = 3, periods;
static double drift = 2, slower = 50;
static struct row rows[INTERVALS];
static struct churn_thread *workers;

static double number(const char *text, double least, double most)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= least && value <= most)) {
        fprintf(stderr, "soak: '%s' is not a number from %g to %g\n", text, least, most);
        exit(2);
    }
    return value;
}

static void read_options(int argc, char **argv)
{
    static const struct option options[] = {{"seconds", required_argument, NULL, 's'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"periods", required_argument, NULL, 'p'},
                                            {"scale", required_argument, NULL, 'x'},
                                            {"drift", required_argument, NULL, 'd'},
                                            {"slower", required_argument, NULL, 'l'},
                                            {0}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (option) {
        case 's':
            seconds = (unsigned)number(optarg, 1, 1e6);
            break;
        case 't':
            threads = (unsigned)number(optarg, 1, THREADS_MOST);
            break;
        case 'p':
            periods = (unsigned)number(optarg, INTERVALS, 1e6);
            break;
        case 'x':
            churn_scale = number(optarg, 0.01, 100);
            break;
        case 'd':
            drift = number(optarg, 0, 1000);
            break;
        case 'l':
            slower = number(optarg, 0, 1000);
            break;
        default:
            exit(2);
        }
    if (periods == 0)
        periods = seconds / PERIOD_SECONDS;
    periods = periods < INTERVALS ? INTERVALS : periods / INTERVALS * INTERVALS;
}

/* ---- What the process has ---- */

static struct sample sample_now(void)
{
    static char buffer[4096]; /* stdio would allocate one */
    unsigned long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && setvbuf(file, buffer, _IOFBF, sizeof(buffer)) == 0);
    CHECK(fscanf(file, "%lu %lu", &size, &resident) == 2);
    fclose(file);
    double page = (double)sysconf(_SC_PAGESIZE);
    return (struct sample){.live = (double)churn_live(workers, threads),
                           .resident = (double)resident * page,
                           .addresses = (double)size * page};
}

static void add_most(double *most, double value)
{
    if (*most < value)
        *most = value;
}

static void add_sample(struct row *row)
{
    struct sample now = sample_now();
    row->samples++;
    row->sum.live += now.live;
    row->sum.resident += now.resident;
    row->sum.addresses += now.addresses;
    add_most(&row->most.live, now.live);
    add_most(&row->most.resident, now.resident);
    add_most(&row->most.addresses, now.addresses);
}

static double mib(double bytes)
{
    return bytes / (1 << 20);
}

static void print_row(unsigned interval)
{
    const struct row *row = &rows[interval];
    struct churn_times times = churn_times(workers, threads, interval);
    printf("%8u %9.1f %9.1f %9.1f %9.1f %8u %8u %9.1f\n", seconds * (interval + 1) / INTERVALS,
           mib(row->sum.live / row->samples), mib(row->sum.resident / row->samples),
           mib(row->most.resident), mib(row->most.addresses), times.malloc_p99, times.free_p99,
           (double)times.operations / 1e6);
    fflush(stdout);
}

/* ---- Phases ---- */

/* Of time in which the process could not run, at most so much counts: a machine that is
 * busy, or a signal that stops it, should not end a phase before its work is done. */
#define SLICE_NS 20000000

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

/* Until `part` of `parts` of the whole time have passed. */
static void wait_until(unsigned part, unsigned parts)
{
    static const struct timespec slice = {.tv_nsec = SLICE_NS};
    static uint64_t passed;
    while (passed < (uint64_t)seconds * 1000000000U / parts * part) {
        uint64_t before = clock_ns(CLOCK_MONOTONIC);
        nanosleep(&slice, NULL);
        uint64_t slept = clock_ns(CLOCK_MONOTONIC) - before;
        passed += slept < 2 * SLICE_NS ? slept : 2 * SLICE_NS;
    }
}

static void run_periods(void)
{
    unsigned parts = periods * CHURN_PHASES;
    for (unsigned part = 0; part < parts; part++) {
        unsigned interval = part / CHURN_PHASES / (periods / INTERVALS);
        churn_go(part / CHURN_PHASES, part % CHURN_PHASES, interval);
        wait_until(part + 1, parts);
        add_sample(&rows[interval]);
        rows[interval].time_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
        if (part + 1 == parts || (part + 1) / CHURN_PHASES / (periods / INTERVALS) != interval)
            print_row(interval);
    }
    churn_stop();
}

/* ---- The verdict ---- */

static struct sample quarter(unsigned which, double *addresses_most)
{
    struct sample mean = {0};
    unsigned samples = 0;
    for (unsigned i = which * INTERVALS / 4; i < (which + 1) * INTERVALS / 4; i++) {
        samples += rows[i].samples;
        mean.live += rows[i].sum.live;
        mean.resident += rows[i].sum.resident;
        add_most(addresses_most, rows[i].most.addresses);
    }
    mean.live /= samples;
    mean.resident /= samples;
    return mean;
}

static double processor_time(unsigned which)
{
    uint64_t end = rows[(which + 1) * INTERVALS / 4 - 1].time_ns;
    return (double)(end - rows[which * INTERVALS / 4 - 1].time_ns);
}

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static struct churn_times least_times(unsigned which)
{
    struct churn_times least = {.malloc_p99 = UINT_MAX, .free_p99 = UINT_MAX};
    for (unsigned i = which * INTERVALS / 4; i < (which + 1) * INTERVALS / 4; i++) {
        struct churn_times times = churn_times(workers, threads, i);
        least.malloc_p99 = smaller(least.malloc_p99, times.malloc_p99);
        least.free_p99 = smaller(least.free_p99, times.free_p99);
    }
    return least;
}

static double percent(double now, double then)
{
    return 100 * (now - then) / then;
}

static int judge(void)
{
    double addresses[2] = {0};
    struct sample second = quarter(1, &addresses[0]), last = quarter(3, &addresses[1]);
    double live = percent(last.live, second.live);
    double resident = percent(last.resident, second.resident);
    double space = percent(addresses[1], addresses[0]);
    printf("\nlast quarter against the second: live %+.2f %%, resident %+.2f %% (%.1f MiB, %.1f "
           "MiB), address space %+.2f %% (%.1f MiB, %.1f MiB)\n",
           live, resident, mib(second.resident), mib(last.resident), space, mib(addresses[0]),
           mib(addresses[1]));
    struct churn_times before = least_times(1), now = least_times(3);
    double mallocs = percent(now.malloc_p99, before.malloc_p99);
    double frees = percent(now.free_p99, before.free_p99);
    printf("p99 of a malloc %+.0f %% (%u ns, %u ns), of a free %+.0f %% (%u ns, %u ns)\n", mallocs,
           before.malloc_p99, now.malloc_p99, frees, before.free_p99, now.free_p99);
    if (live > drift || live < -drift) {
        printf("soak: not comparable: the machine was too busy for the same live bytes\n");
        return SKIPPED;
    }
    bool steady = resident <= drift && space <= drift;
    bool quick = mallocs <= slower && frees <= slower;
    double time = percent(processor_time(3), processor_time(1));
    if (steady && !quick && time < -LESS_TIME) {
        printf("soak: not comparable: %+.0f %% of the processors' time\n", time);
        return SKIPPED;
    }
    printf("soak: %s: up to %g %% of memory and %g %% of time are allowed\n",
           !steady  ? "DRIFTS"
           : !quick ? "SLOWS DOWN"
                    : "steady",
           drift, slower);
    return steady && quick ? 0 : 1;
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    workers = churn_new(threads);
    pthread_t ids[THREADS_MOST];
    for (unsigned i = 0; i < threads; i++)
        CHECK(pthread_create(&ids[i], NULL, churn_run, churn_nth(workers, i)) == 0);
    printf("%u s, %u threads, %u periods of %u phases\n\n%8s %9s %9s %9s %9s %8s %8s %9s\n"
           "%8s %9s %9s %9s %9s %8s %8s %9s\n",
           seconds, threads, periods, CHURN_PHASES, "seconds", "live", "resident", "at most",
           "addresses", "malloc", "free", "million", "", "MiB", "MiB", "MiB", "MiB", "p99 ns",
           "p99 ns", "objects");
    run_periods();
    for (unsigned i = 0; i < threads; i++)
        CHECK(pthread_join(ids[i], NULL) == 0);
    churn_delete(workers, threads);
    return judge();
}
