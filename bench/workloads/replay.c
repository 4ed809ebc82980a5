/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * replay.c - what databases asked of malloc, done again from recorded traces.
 *
 * Prepared from a trace is a plan: for each thread the steps it does, and in each
 * the place where the object's address is kept.  Steps on one place take turns, in
 * the order of the trace: a thread that comes to a step too early waits for its
 * turn.  So an object goes from thread to thread as it did in the database, while
 * steps that have nothing to do with each other are done at any time.  No wait is
 * for ever: every thread does its steps in the order of the trace, and of all steps
 * not yet done the first has its turn.
 *
 * A trace of one thread is replayed by every thread of the run, each by itself.
 * One of several is shared by as many; where the run has fewer, some do the steps
 * of more than one, where it has more, they form groups, each with objects and
 * places of its own.
 */
#include "trace.h"
#include "workload.h"

#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define BUSY_PART   64   /* of the busiest thread's steps; one with fewer needs none of the run */
#define WAIT_SPINS  64   /* looks at a place before others get the CPU */
#define WIDTHS      2    /* groups of a run differ by at most one thread */
#define PAGE        4096 /* bytes */
#define CLEAR_PEAK  "5"  /* man 5 proc, /proc/pid/clear_refs */
#define LINE_PLACES (WORKLOAD_LINE / sizeof(struct place))

struct step {
    uint32_t place;
    uint32_t turn; /* when the place's is this */
    uint32_t next; /* the place's turn afterwards; 0 after the last, for the next repetition */
    uint16_t kind;
    uint16_t what; /* enum trace_what */
};

/* Where an object is kept.  The thread whose turn it is owns all of it. */
struct place {
    void *at;
    uint32_t size;
    _Atomic(uint32_t) turn; /* stored with release after a step, loaded with acquire before
                               the next, which sees the object as the step left it */
};

/* A thread's part of a plan. */
struct part {
    struct step *steps;
    size_t count;
    size_t operations; /* allocations and reallocs among them */
};

/* How `width` threads share a trace. */
struct plan {
    unsigned width; /* 0: not needed */
    struct part *parts;
};

static struct {
    struct trace trace;
    struct plan plans[WIDTHS];
    unsigned groups;
    struct place *places; /* each group's, one after another */
    size_t group_places;  /* of each group; whole pages */
    size_t rounds;        /* repetitions of the trace, if the scale is 1 */
} replay;

/* ---- Planning --------------------------------------------------------------- */

/* Of a trace's steps, in its order. */
struct planning {
    struct step *steps;
    uint16_t *threads;  /* of each step */
    size_t count, room; /* of steps */
};

/* An object while planning. */
struct object {
    uint32_t local; /* which of its thread's places it has */
    uint32_t below; /* the spare place under this one, as struct spare's top */
    uint16_t thread;
    uint16_t live;
};

/* A thread's places; the spare ones are a stack of the objects that had them last. */
struct spare {
    uint32_t top;   /* the number of such an object, and 1; 0: none */
    uint32_t count; /* of all places that the thread has */
};

static void add_step(struct planning *planning, const struct trace_event *event, uint16_t owner,
                     uint32_t local)
{
    /* For now the owner stands in `next` and its place in `place`. */
    planning->steps[planning->count] = (struct step){
        .place = local, .next = owner, .kind = event->kind, .what = (uint16_t)event->what};
    planning->threads[planning->count++] = event->thread;
}

/* Places by owner.  A place is used again after its object was freed by the thread
 * that allocated it; one whose object went elsewhere is not, for a thread should not
 * have to wait for another that frees something else. */
static void choose_places(struct planning *planning, struct spare *spares)
{
    const struct trace *trace = &replay.trace;
    struct object *objects = trace_memory(trace->objects, sizeof *objects);
    for (size_t i = 0; i < trace->events; i++) {
        const struct trace_event *event = &trace->event[i];
        struct object *object = &objects[event->object];
        if (event->what == TRACE_ALLOCATE) {
            struct spare *spare = &spares[event->thread];
            const struct object *last = spare->top == 0 ? NULL : &objects[spare->top - 1];
            *object = (struct object){.thread = event->thread, .live = 1};
            object->local = last == NULL ? spare->count++ : last->local;
            spare->top = last == NULL ? 0 : last->below;
        } else if (event->what == TRACE_FREE) {
            object->live = 0;
            if (object->thread == event->thread) {
                object->below = spares[event->thread].top;
                spares[event->thread].top = event->object + 1;
            }
        }
        add_step(planning, event, object->thread, object->local);
    }
    /* What the database left is freed at the end, by the thread that made it. */
    for (size_t i = 0; i < trace->objects; i++) {
        struct trace_event event = {(uint32_t)i, objects[i].thread, 0, TRACE_FREE};
        if (objects[i].live)
            add_step(planning, &event, objects[i].thread, objects[i].local);
    }
    trace_memory_free(objects, trace->objects, sizeof *objects);
}

static size_t round_up(size_t number, size_t to)
{
    return (number + to - 1) / to * to;
}

/* Gives places and turns their numbers.  Threads' places share no cache line. */
static void number_places(struct planning *planning, const struct spare *spares)
{
    const struct trace *trace = &replay.trace;
    size_t places = 0;
    size_t *first = trace_memory(trace->threads, sizeof *first);
    for (unsigned i = 0; i < trace->threads; i++) {
        first[i] = places;
        places += round_up(spares[i].count, LINE_PLACES);
    }
    uint32_t *turns = trace_memory(places, sizeof *turns);
    for (size_t i = 0; i < planning->count; i++) {
        struct step *step = &planning->steps[i];
        step->place += (uint32_t)first[step->next];
        step->turn = turns[step->place]++;
        step->next = step->turn + 1;
    }
    for (size_t i = 0; i < planning->count; i++) {
        struct step *step = &planning->steps[i];
        if (step->next == turns[step->place])
            step->next = 0;
    }
    trace_memory_free(turns, places, sizeof *turns);
    trace_memory_free(first, trace->threads, sizeof *first);
    replay.group_places = round_up(places, PAGE / sizeof(struct place));
}

/* How many of the trace's threads the run should have threads for; at least 1. */
static unsigned busy_threads(const size_t *steps_of)
{
    unsigned busy = 1, busiest = 0;
    for (unsigned i = 1; i < replay.trace.threads; i++)
        if (steps_of[i] > steps_of[busiest])
            busiest = i;
    for (unsigned i = 0; i < replay.trace.threads; i++)
        busy += i != busiest && steps_of[i] > steps_of[busiest] / BUSY_PART;
    return busy;
}

/* Deals the trace's threads out, those with most steps first, each to the part that
 * has fewest.  `part_of` gets the part of each thread. */
static void deal_threads(unsigned width, const size_t *steps_of, uint16_t *part_of)
{
    unsigned threads = replay.trace.threads;
    size_t *load = trace_memory(width, sizeof *load);
    uint8_t *dealt = trace_memory(threads, sizeof *dealt);
    for (unsigned i = 0; i < threads; i++) {
        unsigned most = threads, least = 0;
        for (unsigned j = 0; j < threads; j++)
            if (!dealt[j] && (most == threads || steps_of[j] > steps_of[most]))
                most = j;
        for (unsigned j = 1; j < width; j++)
            if (load[j] < load[least])
                least = j;
        dealt[most] = 1;
        load[least] += steps_of[most];
        part_of[most] = (uint16_t)least;
    }
    trace_memory_free(dealt, threads, sizeof *dealt);
    trace_memory_free(load, width, sizeof *load);
}

static void make_plan(struct plan *plan, unsigned width, const struct planning *planning,
                      const size_t *steps_of)
{
    uint16_t *part_of = trace_memory(replay.trace.threads, sizeof *part_of);
    deal_threads(width, steps_of, part_of);
    plan->width = width;
    plan->parts = trace_memory(width, sizeof *plan->parts);
    for (size_t i = 0; i < planning->count; i++)
        plan->parts[part_of[planning->threads[i]]].count++;
    for (unsigned i = 0; i < width; i++) {
        struct part *part = &plan->parts[i];
        part->steps = trace_memory(part->count, sizeof *part->steps);
        part->count = 0;
    }
    for (size_t i = 0; i < planning->count; i++) {
        struct part *part = &plan->parts[part_of[planning->threads[i]]];
        part->steps[part->count++] = planning->steps[i];
        part->operations += planning->steps[i].what != TRACE_FREE;
    }
    trace_memory_free(part_of, replay.trace.threads, sizeof *part_of);
}

/* Sizes that hold tags: the first and the last word of an object are the same one
 * or do not overlap. */
static void round_sizes(void)
{
    const uint32_t word = sizeof(uint64_t);
    for (size_t i = 0; i < replay.trace.kinds; i++) {
        struct trace_kind *kind = &replay.trace.kind[i];
        if (kind->size <= word)
            kind->size = word;
        else if (kind->size < 2 * word)
            kind->size = 2 * word;
        if (kind->call == TRACE_ALIGNED && kind->alignment < sizeof(void *))
            kind->alignment = sizeof(void *);
    }
}

/* The peak of resident memory that main.c reads is to be the replay's own, not that
 * of planning.  Where the kernel does not do it, planning is in it. */
static void forget_peak(void)
{
    int file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return;
    if (write(file, CLEAR_PEAK, sizeof CLEAR_PEAK - 1) < 0)
        fputs("workload: the peak of memory is that of planning, too\n", stderr);
    close(file);
}

static void prepare(const char *path, unsigned threads, size_t rounds)
{
    trace_read(&replay.trace, path);
    const struct trace *trace = &replay.trace;
    round_sizes();
    replay.rounds = rounds;
    struct planning planning = {.room = trace->events + trace->objects};
    planning.steps = trace_memory(planning.room, sizeof *planning.steps);
    planning.threads = trace_memory(planning.room, sizeof *planning.threads);
    struct spare *spares = trace_memory(trace->threads, sizeof *spares);
    choose_places(&planning, spares);
    number_places(&planning, spares);
    trace_memory_free(spares, trace->threads, sizeof *spares);

    size_t *steps_of = trace_memory(trace->threads, sizeof *steps_of);
    for (size_t i = 0; i < planning.count; i++)
        steps_of[planning.threads[i]]++;
    unsigned busy = busy_threads(steps_of);
    replay.groups = (threads + busy - 1) / busy;
    unsigned width = threads / replay.groups;
    make_plan(&replay.plans[0], width, &planning, steps_of);
    if (threads % replay.groups != 0)
        make_plan(&replay.plans[1], width + 1, &planning, steps_of);
    replay.places = trace_memory(replay.groups * replay.group_places, sizeof *replay.places);
    trace_memory_free(steps_of, trace->threads, sizeof *steps_of);
    trace_memory_free(planning.threads, planning.room, sizeof *planning.threads);
    trace_memory_free(planning.steps, planning.room, sizeof *planning.steps);
    trace_release_events(&replay.trace);
    forget_peak();
}

static void finish(unsigned threads)
{
    (void)threads;
    for (unsigned i = 0; i < WIDTHS; i++) {
        struct plan *plan = &replay.plans[i];
        for (unsigned j = 0; j < plan->width; j++)
            trace_memory_free(plan->parts[j].steps, plan->parts[j].count,
                              sizeof *plan->parts[j].steps);
        trace_memory_free(plan->parts, plan->width, sizeof *plan->parts);
    }
    trace_memory_free(replay.places, replay.groups * replay.group_places, sizeof *replay.places);
    trace_release(&replay.trace);
}

/* ---- Work ---------------------------------------------------------------------- */

static void *allocate(const struct trace_kind *kind)
{
    void *at = NULL;
    if (kind->call == TRACE_MALLOC)
        return workload_malloc(kind->size);
    if (kind->call == TRACE_CALLOC) {
        at = calloc(1, kind->size);
        uint64_t first, last;
        if (at == NULL)
            workload_fail("calloc returned NULL");
        memcpy(&first, at, sizeof first);
        memcpy(&last, (char *)at + kind->size - sizeof last, sizeof last);
        if ((first | last) != 0)
            workload_fail("calloc's memory is not zero");
    } else if (posix_memalign(&at, kind->alignment, kind->size) != 0) {
        workload_fail("posix_memalign failed");
    } else if (((uintptr_t)at & (kind->alignment - 1)) != 0) {
        workload_fail("posix_memalign's memory is not aligned");
    }
    workload_tag(at, kind->size);
    return at;
}

static void *reallocate(void *before, size_t size_before, size_t size)
{
    uint64_t kept, tag = (uint64_t)(uintptr_t)before ^ WORKLOAD_TAG;
    workload_check(before, size_before);
    void *at = realloc(before, size);
    if (at == NULL)
        workload_fail("realloc returned NULL");
    memcpy(&kept, at, sizeof kept);
    if (kept != tag)
        workload_fail("realloc did not keep the contents");
    workload_tag(at, size);
    return at;
}

static void wait_for_turn(const struct place *place, uint32_t turn)
{
    for (unsigned spins = 1; atomic_load_explicit(&place->turn, memory_order_acquire) != turn;
         spins++) {
        if (spins % WAIT_SPINS == 0)
            sched_yield(); /* who does the step before may be waiting for this CPU */
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
}

static void do_step(const struct step *step, struct place *place)
{
    const struct trace_kind *kind = &replay.trace.kind[step->kind];
    wait_for_turn(place, step->turn);
    switch (step->what) {
    case TRACE_ALLOCATE:
        place->at = allocate(kind);
        place->size = kind->size;
        break;
    case TRACE_REALLOC:
        place->at = reallocate(place->at, place->size, kind->size);
        place->size = kind->size;
        break;
    default:
        workload_free(place->at, place->size);
        break;
    }
    atomic_store_explicit(&place->turn, step->next, memory_order_release);
}

static void work(struct workload_thread *thread)
{
    /* The first groups have one thread more than the others, if they differ. */
    unsigned group = thread->index % replay.groups;
    bool wider = group < thread->threads % replay.groups;
    const struct part *part = &replay.plans[wider].parts[thread->index / replay.groups];
    struct place *places = replay.places + group * replay.group_places;
    size_t rounds = workload_scaled(thread, replay.rounds);
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < part->count; i++)
            do_step(&part->steps[i], &places[part->steps[i].place]);
    thread->operations = rounds * part->operations;
}

/* Repetitions take some 0.4 s under glibc with two threads. */
#define REPLAY(database, repetitions, text)                                                        \
    static void prepare_##database(unsigned threads, double scale)                                 \
    {                                                                                              \
        (void)scale;                                                                               \
        prepare(TRACES_FOLDER "/" #database ".trace", threads, repetitions);                       \
    }                                                                                              \
    const struct workload workload_replay_##database = {.name = "replay_" #database,               \
                                                        .about = text,                             \
                                                        .prepare = prepare_##database,             \
                                                        .work = work,                              \
                                                        .finish = finish};

REPLAY(redis, 32, "a recorded redis-server's calls, by each thread")
REPLAY(sqlite, 32, "a recorded sqlite3's calls, by each thread")
REPLAY(rocksdb, 64, "a recorded RocksDB's calls, threads as they were")
