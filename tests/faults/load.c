/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * load.c - see load.h.
 *
 * What is held is written down outside the heap, in slots that threads take for a moment
 * (`busy`).
 */
#include "load.h"

#include "inject.h"
#include "objects.h"
#include "outside.h"

#include "../family.h"
#include "nearheap.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOTS       768
#define LADDER      160
#define SOME_RATE   ((size_t)64 << 10) /* of samples; else as the environment says */
#define THREADS_MAX 64
#define NAME_ROOM   32
#define SELDOM      9 /* what `seldom` can do */

static struct slot {
    atomic_bool busy;
    struct object object; /* nothing of it beside `busy`, with which compilers would read it */
} slots[SLOTS];

static _Atomic uint64_t untouched;

struct load_counts load_counts(void)
{
    return (struct load_counts){atomic_load(&object_counts.nulls),
                                atomic_load(&object_counts.errors),
                                atomic_load(&object_counts.corrupted),
                                atomic_load(&object_counts.lost), atomic_load(&untouched)};
}

/* ---- What is done now and then ---- */

static int count_object(const struct nh_object *object, void *arg)
{
    (void)object;
    ++*(size_t *)arg;
    return 0;
}

static int count_span(const struct nh_span *span, void *arg)
{
    (void)span;
    ++*(size_t *)arg;
    return 0;
}

static void walk(bool spans)
{
    size_t seen = 0;
    errno = 0;
    if ((spans ? nh_walk_spans(count_span, &seen) : nh_walk_objects(count_object, &seen)) != 0 &&
        (errno != ENOMEM || seen != 0))
        object_wrong(&object_counts.errors, "a walk ended", NULL, (uint64_t)errno);
}

/* ENOSYS where the unwinder cannot be had. */
void load_sample(size_t rate)
{
    nh_profile_stop();
    errno = 0;
    if (nh_profile_start(rate) != 0 && errno != ENOSYS)
        object_wrong(&object_counts.errors, "no profile", NULL, (uint64_t)errno);
}

/* To nobody, or whole. */
static void dump(void)
{
    int nobody = -1, null = -1, ends[2];
    fault_spare(true);
    null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (pipe2(ends, O_CLOEXEC) == 0) {
        nobody = ends[1];
        close(ends[0]);
    }
    fault_spare(false);
    if (null >= 0)
        (void)nh_dump(null);
    if (nobody >= 0)
        (void)nh_dump(nobody); /* the signal that comes of it is not the program's */
    fault_spare(true);
    close(null);
    close(nobody);
    fault_spare(false);
}

static void seldom(size_t what, uint64_t *state)
{
    struct nh_placement placement = {.struct_size = sizeof(placement)};
    size_t nodes = (size_t)nh_node_count();
    switch (what) {
    case 0:
        (void)malloc_trim(random_below(state, 2) << 20);
        break;
    case 1:
        walk(random_below(state, 2) == 0);
        break;
    case 2:
        (void)nh_placement_audit(-1, 100, &placement);
        break;
    case 3:
        (void)nh_migrate_heap((int)random_below(state, nodes), (int)random_below(state, nodes),
                              NULL);
        break;
    case 4:
        (void)nh_profile_write("/dev/null");
        break;
    case 5:
        (void)nh_set_thread_node((int)random_below(state, nodes + 1) - 1);
        break;
    case 6:
        load_sample(random_below(state, 2) * SOME_RATE);
        break;
    case 7:
        dump();
        break;
    default:
        (void)nh_scavenge(-1);
    }
}

/* Slots that are busy are somebody else's for the moment. */
static struct slot *take(size_t i)
{
    return atomic_exchange(&slots[i].busy, true) ? NULL : &slots[i];
}

static void give(struct slot *slot)
{
    atomic_store(&slot->busy, false);
}

static void step(uint64_t *state)
{
    struct slot *slot = take(random_below(state, SLOTS));
    if (slot == NULL)
        return;
    if (slot->object.at == NULL)
        (void)object_allocate(&slot->object, state);
    else
        switch (random_below(state, 8)) {
        case 0:
        case 1:
            object_resize(&slot->object, state);
            break;
        case 2:
            object_attach(&slot->object);
            break;
        default:
            object_release(&slot->object);
        }
    give(slot);
    if (random_below(state, 256) == 0)
        seldom(random_below(state, SELDOM), state);
}

struct work {
    uint64_t state;
    unsigned steps;
};

static void *work(void *arg)
{
    struct work *work = arg;
    for (unsigned i = 0; i < work->steps; i++)
        step(&work->state);
    return NULL;
}

void load_work(unsigned threads, unsigned steps)
{
    static struct work works[THREADS_MAX];
    static pthread_t ids[THREADS_MAX];
    static uint64_t state = 1;
    bool begun[THREADS_MAX];
    for (unsigned i = 0; i < threads; i++) {
        works[i] = (struct work){random_next(&state), steps};
        begun[i] = fault_thread(&ids[i], work, &works[i]);
        if (!begun[i])
            atomic_fetch_add(&untouched, 1);
    }
    for (unsigned i = 0; i < threads; i++)
        if (begun[i])
            pthread_join(ids[i], NULL);
        else
            (void)work(&works[i]);
    for (size_t i = 0; i < SELDOM; i++)
        seldom(i, &state);
    (void)nh_set_thread_node(-1);
}

/* ---- At rest ---- */

void load_verify(void)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (slots[i].object.at != NULL)
            object_verify(&slots[i].object);
}

void load_release(unsigned one_of)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (slots[i].object.at != NULL && i % one_of == 0)
            object_release(&slots[i].object);
}

unsigned load_ladder(void)
{
    static void *rung[LADDER];
    unsigned missing = 0;
    size_t size = 1;
    for (unsigned i = 0; i < LADDER; i++) {
        rung[i] = malloc(size);
        missing += rung[i] == NULL;
        size += size / 8 + 1;
        if (size > OBJECT_LARGEST)
            size = OBJECT_LARGEST;
    }
    for (unsigned i = 0; i < LADDER; i++)
        free(rung[i]);
    return missing;
}

bool load_fork(void)
{
    pid_t child = fork();
    if (child == 0) {
        uint64_t state = 42;
        for (unsigned i = 0; i < 500; i++)
            step(&state);
        (void)outside_ask();
        load_verify();
        struct load_counts found = load_counts();
        exit(found.corrupted + found.lost + found.errors != 0);
    }
    outside_adopt(child, true);
    int status = 1;
    return child < 0 || (waitpid(child, &status, 0) == child && status == 0);
}

/* ---- A profile that is being written when the program ends ---- */

/* To a pipe that is full, until nobody reads there any more. */
static struct {
    pthread_t thread;
    int read_end, write_end;
    bool begun;
    atomic_bool ended;
} held = {.read_end = -1, .write_end = -1};

static void stop_reading(void)
{
    if (held.read_end >= 0)
        close(held.read_end);
    held.read_end = -1;
}

static void spared_stop_reading(void)
{
    fault_spare(true);
    stop_reading();
    fault_spare(false);
}

static bool open_full_pipe(void)
{
    static const char page[4096];
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return false;
    while (write(ends[1], page, sizeof(page)) > 0)
        ;
    held.read_end = ends[0];
    held.write_end = ends[1];
    return true;
}

static void *write_held(void *arg)
{
    /* Opens the pipe anew: that one waits. */
    while (nh_profile_write(arg) != 0 && errno == EBUSY)
        sched_yield();
    atomic_store(&held.ended, true);
    return NULL;
}

/* By somebody else; this is no file. */
static bool is_profile_written(void)
{
    return nh_profile_write("/") != 0 && errno == EBUSY;
}

void load_hold_profile(void)
{
    static char name[NAME_ROOM];
    fault_spare(true);
    bool made = open_full_pipe();
    snprintf(name, sizeof(name), "/proc/self/fd/%d", held.write_end);
    fault_spare(false);
    if (!made)
        return;
    fault_when_waiting = spared_stop_reading;
    held.begun = fault_thread(&held.thread, write_held, name);
    fault_spare(true);
    while (held.begun && !atomic_load(&held.ended) && !is_profile_written())
        sched_yield();
    fault_spare(false);
}

void load_let_profile(void)
{
    fault_when_waiting = NULL;
    stop_reading();
    if (held.begun)
        pthread_join(held.thread, NULL);
    if (held.write_end >= 0)
        close(held.write_end);
}
