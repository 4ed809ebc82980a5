/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * fragmentation.c - what recorded databases leave of a heap: the same calls in the same
 * order, by one thread, and how much memory that takes for the bytes asked for.
 *
 * Each trace has a process of its own.  Where there are several nodes, a database's
 * threads are of different ones.  All bytes of each object are written.
 *
 * usage: fragmentation PERCENT TRACE...
 *   PERCENT   the most that may be resident at the peak, of the bytes asked for
 */
#include "../../bench/workloads/trace.h"
#include "../../bench/workloads/workload.h"
#include "../server/check.h"
#include "nearheap.h"

#include <stdbool.h>
#include <sys/wait.h>

#define SAMPLE_EVENTS 512
#define MIB           (1024.0 * 1024.0)

struct held {
    void *at;
    size_t size;
};

struct peaks {
    uint64_t live;     /* asked for */
    uint64_t in_use;   /* spans with objects, when most was live */
    uint64_t resident; /* heap and metadata, the most that it ever was */
};

/* What the reader of traces calls. */
_Noreturn void workload_fail(const char *what)
{
    check_failed(__FILE__, __LINE__, what);
}

static struct nh_stats stats(void)
{
    struct nh_stats now = {.struct_size = sizeof(now)};
    CHECK(nh_stats_read(&now) == 0);
    return now;
}

static uint64_t resident(const struct nh_stats *now)
{
    return now->mapped_bytes - now->released_bytes + now->metadata_bytes;
}

static void *call(const struct trace_kind *kind)
{
    if (kind->call == TRACE_MALLOC)
        return malloc(kind->size);
    return kind->call == TRACE_CALLOC ? calloc(1, kind->size)
                                      : aligned_alloc(kind->alignment, kind->size);
}

static void step(const struct trace *trace, const struct trace_event *event, struct held *held)
{
    if (event->what == TRACE_FREE) {
        free(held->at);
        *held = (struct held){NULL, 0};
        return;
    }
    const struct trace_kind *kind = &trace->kind[event->kind];
    held->at = event->what == TRACE_REALLOC ? realloc(held->at, kind->size) : call(kind);
    CHECK(held->at != NULL);
    held->size = kind->size;
    memset(held->at, 0x5a, held->size);
}

static struct peaks replay(const struct trace *trace, struct held *held)
{
    struct peaks peaks = {0};
    uint64_t live = 0;
    int nodes = nh_node_count(), node = 0;
    for (size_t i = 0; i < trace->events; i++) {
        const struct trace_event *event = &trace->event[i];
        if (event->thread % nodes != node) {
            node = event->thread % nodes;
            CHECK(nh_set_thread_node(node) == 0);
        }
        struct held *object = &held[event->object];
        live -= object->size;
        step(trace, event, object);
        live += object->size;
        if (i % SAMPLE_EVENTS != 0 && live <= peaks.live + peaks.live / 64)
            continue;
        struct nh_stats now = stats();
        if (live > peaks.live) {
            peaks.live = live;
            peaks.in_use = now.in_use_bytes;
        }
        if (resident(&now) > peaks.resident)
            peaks.resident = resident(&now);
    }
    return peaks;
}

static int run(const char *path, unsigned most)
{
    struct trace trace;
    trace_read(&trace, path);
    struct held *held = trace_memory(trace.objects, sizeof(*held));
    struct peaks peaks = replay(&trace, held);
    for (size_t i = 0; i < trace.objects; i++)
        free(held[i].at);
    (void)nh_scavenge(-1);
    struct nh_stats now = stats();
    const char *name = strrchr(path, '/');
    double percent = 100.0 * (double)peaks.resident / (double)peaks.live;
    printf("%-16s %5d %9.2f %9.2f %9.2f %8.1f %% %11.2f\n", name != NULL ? name + 1 : path,
           nh_node_count(), (double)peaks.live / MIB, (double)peaks.in_use / MIB,
           (double)peaks.resident / MIB, percent, (double)resident(&now) / MIB);
    return percent <= most ? 0 : 1;
}

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    unsigned most = (unsigned)strtoul(argv[1], NULL, 10);
    bool good = true;
    printf("%-16s %5s %9s %9s %9s %10s %11s\n%-16s %5s %9s %9s %9s %10s %11s\n", "trace", "nodes",
           "live", "in spans", "resident", "of live", "in the end", "", "", "peak MiB", "MiB",
           "peak MiB", "", "MiB");
    for (int i = 2; i < argc; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            int status = run(argv[i], most);
            fflush(stdout);
            _exit(status);
        }
        int status;
        CHECK(child > 0 && waitpid(child, &status, 0) == child);
        good &= status == 0;
    }
    printf("fragmentation: %s %u %% of what is live\n", good ? "at most" : "MORE THAN", most);
    return good ? 0 : 1;
}
