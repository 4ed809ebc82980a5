/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * main.c - runs one workload once and prints what it took, as one line of JSON.
 */
#include "workload.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define WORKLOAD(name) extern const struct workload workload_##name;
#include "workloads.def"
#undef WORKLOAD

static const struct workload *const all[] = {
#define WORKLOAD(name) &workload_##name,
#include "workloads.def"
#undef WORKLOAD
};

uint32_t workload_small[WORKLOAD_SIZES];
uint32_t workload_server[WORKLOAD_SIZES];

_Noreturn void workload_fail(const char *what)
{
    fprintf(stderr, "workload: FAILED: %s\n", what);
    _Exit(1);
}

/* A size of at least `low` and below low << doublings, as many in each doubling. */
static uint32_t draw(uint64_t *random, uint32_t low, unsigned doublings)
{
    uint32_t base = low << random_next(random) % doublings;
    return base + (uint32_t)(random_next(random) % base);
}

static void draw_sizes(void)
{
    uint64_t random = 0x2545f4914f6cdd1dULL;
    for (size_t i = 0; i < WORKLOAD_SIZES; i++) {
        workload_small[i] = draw(&random, 16, 6);
        uint64_t kind = random_next(&random) % 1000;
        workload_server[i] = kind < 500   ? draw(&random, 16, 2)
                             : kind < 900 ? draw(&random, 64, 3)
                             : kind < 990 ? draw(&random, 512, 2)
                             : kind < 999 ? draw(&random, 2048, 2)
                                          : draw(&random, 8192, 3);
    }
}

/* ---- Threads --------------------------------------------------------------
 * All wait at the gate until the clock has started, which it does when they all are
 * there: read after the gate had opened, by a thread that has to get a CPU first, it
 * would miss part of their work, or all. */

static struct workload_thread parts[WORKLOAD_THREADS_MAX];
static pthread_t threads[WORKLOAD_THREADS_MAX];
static pthread_barrier_t ready, gate;
static const struct workload *chosen;

static void *thread_main(void *argument)
{
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&gate);
    chosen->work(argument);
    return NULL;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Seconds until the last thread had done its part. */
static double run_threads(unsigned count, double scale)
{
    uint64_t seed = 0x9e3779b97f4a7c15ULL;
    pthread_barrier_init(&ready, NULL, count + 1);
    pthread_barrier_init(&gate, NULL, count + 1);
    for (unsigned i = 0; i < count; i++) {
        parts[i] = (struct workload_thread){
            .random = random_next(&seed), .index = i, .threads = count, .scale = scale};
        if (pthread_create(&threads[i], NULL, thread_main, &parts[i]) != 0)
            workload_fail("no thread could be created");
    }
    pthread_barrier_wait(&ready);
    double begun = now();
    pthread_barrier_wait(&gate);
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    double ended = now();
    pthread_barrier_destroy(&ready);
    pthread_barrier_destroy(&gate);
    return ended - begun;
}

/* ---- Memory ---------------------------------------------------------------
 * KiB of a line of /proc/self/status, read without malloc. */

static long status_kib(const char *name)
{
    static char buffer[1 << 13];
    static char text[1 << 12];
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "r");
    if (file == NULL)
        return -1;
    setvbuf(file, buffer, _IOFBF, sizeof buffer);
    while (kib < 0 && fgets(text, sizeof text, file) != NULL)
        if (strncmp(text, name, strlen(name)) == 0)
            kib = strtol(text + strlen(name), NULL, 10);
    fclose(file);
    return kib;
}

/* An idle server's heartbeat: what returns memory in the course of other calls
 * gets its chance. */
static void idle(double seconds)
{
    static const struct timespec beat = {.tv_nsec = 10000000};
    for (double end = now() + seconds; now() < end;) {
        for (size_t i = 0; i < 64; i++)
            workload_free(workload_malloc(workload_small[i]), workload_small[i]);
        nanosleep(&beat, NULL);
    }
}

/* ---- Command line ---------------------------------------------------------- */

static void usage(FILE *to)
{
    fputs("usage: workload [--threads N] [--scale X] [--settle SECONDS] NAME\n"
          "       workload --list\n\n"
          "Does one workload once, with the malloc that is preloaded, verifies every\n"
          "object, and prints a line of JSON: seconds, operations, peak and settled\n"
          "resident memory, page faults.  bench/compare sets allocators side by side.\n\n"
          "  --threads N       so many threads (default 2)\n"
          "  --scale X         X times the work (default 1)\n"
          "  --settle SECONDS  after the work be nearly idle so long, before the settled\n"
          "                    memory is read (default 0)\n"
          "  --list            names and what they do\n",
          to);
}

static double number(const char *option, const char *text, double least, double most)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= least && value <= most)) {
        fprintf(stderr, "workload: %s %s: a number from %g to %g is wanted\n", option, text, least,
                most);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"threads", required_argument, NULL, 't'}, {"scale", required_argument, NULL, 's'},
        {"settle", required_argument, NULL, 'w'},  {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},          {0}};
    unsigned count = 2;
    double scale = 1, settle = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 't':
            count = (unsigned)number("--threads", optarg, 1, WORKLOAD_THREADS_MAX);
            break;
        case 's':
            scale = number("--scale", optarg, 0.001, 1000);
            break;
        case 'w':
            settle = number("--settle", optarg, 0, 3600);
            break;
        case 'l':
            for (size_t i = 0; i < sizeof all / sizeof *all; i++)
                printf("%-20s %s\n", all[i]->name, all[i]->about);
            return 0;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    }
    for (size_t i = 0; optind == argc - 1 && i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i]->name, argv[optind]) == 0)
            chosen = all[i];
    if (chosen == NULL) {
        if (optind == argc - 1)
            fprintf(stderr, "workload: there is no workload '%s': see --list\n", argv[optind]);
        else
            usage(stderr);
        return 2;
    }

    draw_sizes();
    if (chosen->prepare != NULL)
        chosen->prepare(count, scale);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    double seconds = run_threads(count, scale);
    getrusage(RUSAGE_SELF, &after);
    if (chosen->finish != NULL)
        chosen->finish(count);
    if (settle > 0)
        idle(settle);
    uint64_t operations = 0;
    for (unsigned i = 0; i < count; i++)
        operations += parts[i].operations;
    printf("{\"workload\": \"%s\", \"threads\": %u, \"seconds\": %.6f, \"operations\": %llu, "
           "\"peak_kib\": %ld, \"settled_kib\": %ld, \"faults\": %ld}\n",
           chosen->name, count, seconds, (unsigned long long)operations, status_kib("VmHWM:"),
           status_kib("VmRSS:"), after.ru_minflt - before.ru_minflt);
    return 0;
}
