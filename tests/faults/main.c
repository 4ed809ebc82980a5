/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * main.c - what one cell of the matrix of faults is: a process in which a call fails as
 * planned (inject.h), at its start, under load or at its exit, and which then has to be as
 * if nothing had been.
 *
 * Its output is one line of JSON, at the very end; the other lines are on stderr.
 */
#include "inject.h"
#include "load.h"
#include "outside.h"

#include "../family.h"
#include "nearheap.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRIMS      4
#define HUGE_BYTES ((uintptr_t)2 << 20)

static struct result {
    struct load_counts counts;
    unsigned stuck;   /* sizes refused when nothing fails any more */
    long leaked;      /* objects that the engine thinks are held though all are freed */
    long stranded_kb; /* in caches of nobody */
    long grown_kb;    /* of address space, when all is freed and trimmed */
    bool child_failed;
    _Atomic unsigned signals; /* that a write of the engine's raised */
    unsigned unserved;        /* who asked from outside and got no answer when nothing failed */
} result;

static pid_t self; /* the children of a fork do not tell */

static bool calls_only; /* --calls */

static int count_object(const struct nh_object *object, void *arg)
{
    (void)object;
    ++*(long *)arg;
    return 0;
}

/* Free memory that could go: it does so by whole huge pages, where nothing is in them, such as
 * the slots of guarded objects, which stay. */
static int add_idle(const struct nh_span *span, void *arg)
{
    uintptr_t begin = ((uintptr_t)span->base + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
    uintptr_t end = ((uintptr_t)span->base + span->size) & ~(HUGE_BYTES - 1);
    if (end > begin)
        *(long *)arg += (long)((end - begin) / 1024);
    return 0;
}

static long address_space_kb(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld", &pages) != 1)
        abort();
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* What is left when the program has freed everything; of address space what no heap knows of,
 * and what is idle. */
struct rest {
    long objects, cached_kb, address_space_kb;
};

static struct rest rest(void)
{
    struct rest now = {0};
    struct nh_stats stats = {.struct_size = sizeof(stats)};
    load_release(1);
    /* A heap keeps addresses for an eighth of what it had. */
    for (int i = 0; i < TRIMS; i++)
        malloc_trim(0);
    nh_walk_objects(count_object, &now.objects);
    nh_stats_read(&stats);
    now.cached_kb = (long)(stats.cached_bytes / 1024);
    nh_foreach(NH_SPAN_FREE, add_idle, &now.address_space_kb);
    now.address_space_kb += address_space_kb() - (long)(stats.mapped_bytes / 1024);
    return now;
}

/* After the engine's own destructor, which has no priority. */
__attribute__((destructor(101))) static void tell(void)
{
    if (getpid() != self)
        return;
    fault_phase(PHASE_NONE);
    load_let_profile();
    if (calls_only) {
        fault_print(1);
        return;
    }
    load_verify();
    result.counts = load_counts();
    dprintf(1,
            "{\"calls\": %llu, \"injected\": %llu, \"nulls\": %llu, \"no_thread\": %llu, "
            "\"errors\": %llu, \"corrupted\": %llu, \"lost\": %llu, \"stuck\": %u, "
            "\"child_failed\": %d, \"leaked\": %ld, \"stranded_kb\": %ld, \"grown_kb\": %ld, "
            "\"signals\": %u, \"unserved\": %u, \"left\": %u, \"open\": %u, \"processes\": [",
            (unsigned long long)fault_calls(), (unsigned long long)fault_injected(),
            (unsigned long long)result.counts.nulls, (unsigned long long)result.counts.untouched,
            (unsigned long long)result.counts.errors, (unsigned long long)result.counts.corrupted,
            (unsigned long long)result.counts.lost, result.stuck, result.child_failed,
            result.leaked, result.stranded_kb, result.grown_kb, result.signals, result.unserved,
            outside_files(), outside_descriptors());
    outside_print(1);
    dprintf(1, "], \"struck\": [");
    fault_print_struck(1);
    dprintf(1, "]}\n");
}

static void count_signal(int number)
{
    (void)number;
    result.signals++;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: faults THREADS STEPS [--calls]\n\n"
              "THREADS threads work STEPS steps in each of its parts while what\n"
              "FAULT (inject.h) plans fails; prints what came of it, or how often each call was\n"
              "made.\n",
              stderr);
        return 2;
    }
    unsigned threads = (unsigned)atoi(argv[1]);
    unsigned steps = (unsigned)atoi(argv[2]);
    calls_only = argc > 3 && strcmp(argv[3], "--calls") == 0;

    self = getpid();
    fault_spare(true);
    signal(SIGPIPE, count_signal);
    fault_spare(false);
    outside_leave_stale();
    load_work(threads, steps / 10);
    (void)outside_ask();
    fault_phase(PHASE_NONE);
    result.unserved += outside_ask();
    result.stuck += load_ladder();
    load_verify();

    /* What a process has once in its life it has after this, the unwinder, too. */
    load_sample(0);
    load_work(threads, steps);
    struct rest before = rest();

    fault_phase(PHASE_LOAD);
    load_work(threads, steps);
    (void)outside_ask();
    bool well = load_fork();
    fault_phase(PHASE_NONE);
    result.unserved += outside_ask();
    result.child_failed = !well;
    result.stuck += load_ladder();
    load_verify();
    load_work(threads, steps);
    load_verify();
    struct rest after = rest();
    result.leaked = after.objects - before.objects;
    result.stranded_kb = after.cached_kb - before.cached_kb;
    result.grown_kb = after.address_space_kb - before.address_space_kb;

    load_work(threads, steps);
    fault_phase(PHASE_EXIT);
    load_work(threads, steps / 4);
    (void)outside_ask();
    load_release(2);
    malloc_trim(0);
    load_hold_profile();
    return 0;
}
