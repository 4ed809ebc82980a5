/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * guard_report.c - see guard_report.h.
 */
#include "guard_report.h"

#include "guard.h"
#include "guard_pool.h"
#include "log.h"
#include "profile_maps.h"

#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define FRAMES_MAX (1 + 2 * NH_GUARD_FRAMES)

/* Of all files that calls are in; beyond that they are told by address alone. */
#define PATHS_BYTES 8192

/* The thread whose turn it is, or 0.  Acquired by who takes it over, and released at the end of a
 * report, so that each finds `report` as the last one left it. */
static _Atomic int reporter;

/* All of this is the reporter's: signal stacks are small. */
static struct {
    struct guard_object object;
    struct maps_room maps;
    struct frame {
        uintptr_t address;
        uintptr_t in_file;
        const char *path; /* NULL: not known */
    } frame[FRAMES_MAX];
    unsigned frames;
    char paths[PATHS_BYTES];
    size_t used;
    struct guard_access last; /* that was reported, and by whom */
    int last_thread;
} report;

/* False if the thread was interrupted in a report of its own. */
static bool begin(void)
{
    int self = gettid(), other = 0;
    while (!atomic_compare_exchange_strong(&reporter, &other, self)) {
        if (other == self)
            return false;
        other = 0;
        (void)sched_yield();
    }
    report.frames = 0;
    report.used = 0;
    return true;
}

static void end(void)
{
    atomic_store(&reporter, 0);
}

void guard_report_fork_child(void)
{
    end();
}

/* ---- Frames ---- */

static void add_frame(uintptr_t address)
{
    report.frame[report.frames++] = (struct frame){.address = address};
}

static void add_trace(const struct guard_trace *trace)
{
    for (unsigned i = 0; i < trace->depth; i++)
        add_frame(trace->frame[i]);
}

static const char *keep_path(const char *path)
{
    size_t bytes = strlen(path) + 1;
    if (bytes > sizeof report.paths - report.used)
        return NULL;
    char *kept = report.paths + report.used;
    memcpy(kept, path, bytes);
    report.used += bytes;
    return kept;
}

static void visit(const struct map *map, void *arg)
{
    (void)arg;
    const char *path = NULL;
    for (unsigned i = 0; i < report.frames; i++) {
        struct frame *frame = &report.frame[i];
        if (frame->address - map->begin >= map->end - map->begin)
            continue;
        if (path == NULL)
            path = keep_path(map->path);
        frame->path = path;
        frame->in_file = frame->address - map->begin + map->address;
    }
}

/* Prints the next `count` frames from *at on. */
static void print_frames(unsigned *at, unsigned count)
{
    for (unsigned i = 0; i < count; i++, ++*at) {
        const struct frame *frame = &report.frame[*at];
        if (frame->path != NULL)
            log_line(LOG_ERROR, "  #%u 0x%" PRIxPTR " %s+0x%" PRIxPTR, i, frame->address,
                     frame->path, frame->in_file);
        else
            log_line(LOG_ERROR, "  #%u 0x%" PRIxPTR, i, frame->address);
    }
}

static void print_trace(const char *what, const struct guard_trace *trace, unsigned *at)
{
    if (trace->thread == 0)
        return;
    log_line(LOG_ERROR, "%s by thread %d at:", what, trace->thread);
    print_frames(at, trace->depth);
}

/* Who allocated and freed it; before that the frames that were added already. */
static void print_history(void)
{
    unsigned at = 0, before = report.frames;
    add_trace(&report.object.allocated);
    add_trace(&report.object.freed);
    maps_visit(&report.maps, visit, NULL);
    print_frames(&at, before);
    print_trace("allocated", &report.object.allocated, &at);
    print_trace("freed", &report.object.freed, &at);
}

/* ---- Reports ---- */

static void print_access(const struct guard_access *access)
{
    static const char *const whats[] = {[GUARD_READ] = "read of",
                                        [GUARD_WRITE] = "write to",
                                        [GUARD_JUMP] = "jump to",
                                        [GUARD_ACCESS] = "access to"};
    static const char *const wheres[] = {
        [GUARD_BEFORE] = "before", [GUARD_INSIDE] = "inside", [GUARD_BEHIND] = "behind the end of"};
    const struct guard_object *object = &report.object;
    size_t distance;
    enum guard_where where = guard_where(object->address, object->size, access->address, &distance);
    const char *kind = object->freed.thread != 0 ? "use after free"
                       : where == GUARD_BEFORE   ? "buffer underflow"
                       : where == GUARD_BEHIND   ? "buffer overflow"
                                                 : NULL;
    if (kind == NULL) /* what is a fault without guard pages, too */
        return;
    log_line(LOG_ERROR,
             "%s: %s 0x%" PRIxPTR ", %zu bytes %s an object of %zu bytes at 0x%" PRIxPTR
             ", by thread %d at:",
             kind, whats[access->what], access->address, distance, wheres[where], object->size,
             object->address, gettid());
    add_frame(access->instruction);
    print_history();
}

/* Whether a handler has returned to what it could not mend. */
static bool again(const struct guard_access *access)
{
    int self = gettid();
    bool same = report.last_thread == self && report.last.address == access->address &&
                report.last.instruction == access->instruction;
    report.last = *access;
    report.last_thread = self;
    return same;
}

void guard_report_access(const struct guard_access *access)
{
    if (!begin())
        return;
    if (!again(access) && guard_find(access->address, &report.object) &&
        report.object.allocated.thread != 0)
        print_access(access);
    end();
}

void guard_report_free(uintptr_t address)
{
    if (!begin())
        return;
    if (guard_find(address, &report.object) && report.object.allocated.thread != 0)
        print_history();
    end();
}
