/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * trace.c - reads the compact form of a trace; tools/trace_format.py describes it.
 */
#include "trace.h"

#include "workload.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC         "NHTRACE1"
#define MAGIC_SIZE    (sizeof MAGIC - 1)
#define MATCH_LEAST   4
#define NUMBER_BITS   7 /* in a byte */
#define NUMBER_MORE   0x80U
#define NUMBER_MOST   64         /* bits */
#define CONTENTS_MAX  (1U << 30) /* bytes */
#define ALIGNMENT_MAX 30         /* binary logarithm */

/* The first numbers that stand for events. */
enum token { TOKEN_THREAD, TOKEN_FREE, TOKEN_REALLOC, TOKEN_ALLOCATE };

/* Bytes being read. */
struct bytes {
    const uint8_t *at, *end;
    const char *path; /* whose they are */
};

void *trace_memory(size_t count, size_t size)
{
    if (count == 0)
        return NULL;
    void *memory =
        mmap(NULL, count * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        workload_fail("no memory for a trace");
    return memory;
}

void trace_memory_free(void *memory, size_t count, size_t size)
{
    if (memory != NULL)
        munmap(memory, count * size);
}

_Noreturn static void damaged(const char *path)
{
    fprintf(stderr, "workload: %s: ", path);
    workload_fail("is no trace, or is damaged");
}

static void must(bool sound, const struct bytes *bytes)
{
    if (!sound)
        damaged(bytes->path);
}

static uint64_t take_long_number(struct bytes *from)
{
    uint64_t number = 0;
    for (unsigned shift = 0;; shift += NUMBER_BITS) {
        must(from->at < from->end && shift < NUMBER_MOST, from);
        uint8_t byte = *from->at++;
        uint64_t part = byte & (NUMBER_MORE - 1);
        number |= part << shift;
        must(number >> shift == part, from);
        if ((byte & NUMBER_MORE) == 0)
            return number;
    }
}

static uint32_t take_number(struct bytes *from)
{
    uint64_t number = take_long_number(from);
    must(number <= UINT32_MAX, from);
    return (uint32_t)number;
}

/* Of an object: a trace may have larger ones than a kind has here. */
static uint32_t take_size(struct bytes *from)
{
    uint64_t size = take_long_number(from);
    if (size > UINT32_MAX) {
        fprintf(stderr, "workload: %s: ", from->path);
        workload_fail("has an object of 4 GiB or more, which is not replayed");
    }
    return (uint32_t)size;
}

static void decompress(struct bytes *packed, uint8_t *to, size_t length)
{
    for (size_t at = 0; at < length;) {
        uint32_t control = take_number(packed);
        size_t count = control / 2;
        if (control % 2 == 0) {
            count++;
            must(count <= length - at && count <= (size_t)(packed->end - packed->at), packed);
            memcpy(to + at, packed->at, count);
            packed->at += count;
            at += count;
        } else {
            count += MATCH_LEAST;
            size_t distance = take_number(packed);
            must(count <= length - at && distance > 0 && distance <= at, packed);
            for (size_t end = at + count; at < end; at++)
                to[at] = to[at - distance];
        }
    }
    must(packed->at == packed->end, packed);
}

static void take_kinds(struct trace *trace, struct bytes *from)
{
    for (size_t i = 0; i < trace->kinds; i++) {
        uint32_t call = take_number(from), size = take_size(from), shift = take_number(from);
        must(call >= TRACE_MALLOC && call <= TRACE_ALIGNED && shift <= ALIGNMENT_MAX, from);
        trace->kind[i] = (struct trace_kind){(enum trace_call)call, size, 1U << shift};
    }
}

static void take_events(struct trace *trace, struct bytes *from)
{
    /* The freed objects, for an event on one of them would be no trace's. */
    uint8_t *freed = trace_memory(trace->objects, sizeof *freed);
    uint32_t objects = 0, thread = 0;
    for (size_t i = 0; i < trace->events;) {
        uint32_t token = take_number(from), object = objects, kind = 0;
        if (token == TOKEN_THREAD) {
            thread = take_number(from);
            must(thread < trace->threads, from);
            continue;
        }
        enum trace_what what = TRACE_ALLOCATE;
        if (token >= TOKEN_ALLOCATE) {
            kind = token - TOKEN_ALLOCATE;
            must(objects < trace->objects, from);
            objects++;
        } else {
            uint32_t age = take_number(from);
            must(age < objects, from);
            object = objects - 1 - age;
            what = token == TOKEN_FREE ? TRACE_FREE : TRACE_REALLOC;
            if (what == TRACE_REALLOC)
                kind = take_number(from);
        }
        must(kind < trace->kinds && freed[object] == 0, from);
        freed[object] = what == TRACE_FREE;
        trace->event[i++] = (struct trace_event){object, (uint16_t)thread, (uint16_t)kind, what};
    }
    must(objects == trace->objects && from->at == from->end, from);
    trace_memory_free(freed, trace->objects, sizeof *freed);
}

static void take_trace(struct trace *trace, struct bytes *from)
{
    size_t length = (size_t)(from->end - from->at);
    trace->threads = take_number(from);
    trace->objects = take_number(from);
    trace->events = take_number(from);
    trace->kinds = take_number(from);
    /* None takes less than a byte. */
    must(trace->threads >= 1 && trace->threads <= TRACE_THREADS_MAX && trace->events <= length &&
             trace->objects >= 1 && trace->objects <= trace->events && trace->kinds >= 1 &&
             trace->kinds <= TRACE_KINDS_MAX && trace->kinds <= length,
         from);
    trace->kind = trace_memory(trace->kinds, sizeof *trace->kind);
    trace->event = trace_memory(trace->events, sizeof *trace->event);
    take_kinds(trace, from);
    take_events(trace, from);
}

void trace_read(struct trace *trace, const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file < 0 || fstat(file, &status) != 0) {
        fprintf(stderr, "workload: %s: ", path);
        workload_fail("cannot be read; the folder of the sources is needed");
    }
    size_t size = (size_t)status.st_size;
    if (size <= MAGIC_SIZE)
        damaged(path);
    uint8_t *whole = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
    close(file);
    if (whole == MAP_FAILED || memcmp(whole, MAGIC, MAGIC_SIZE) != 0)
        damaged(path);
    struct bytes packed = {whole + MAGIC_SIZE, whole + size, path};
    size_t length = take_number(&packed);
    must(length >= 1 && length <= CONTENTS_MAX, &packed);
    uint8_t *contents = trace_memory(length, 1);
    decompress(&packed, contents, length);
    munmap(whole, size);
    take_trace(trace, &(struct bytes){contents, contents + length, path});
    trace_memory_free(contents, length, 1);
}

void trace_release_events(struct trace *trace)
{
    trace_memory_free(trace->event, trace->events, sizeof *trace->event);
    trace->event = NULL;
}

void trace_release(struct trace *trace)
{
    trace_release_events(trace);
    trace_memory_free(trace->kind, trace->kinds, sizeof *trace->kind);
}
