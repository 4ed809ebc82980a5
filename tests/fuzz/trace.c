/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * trace.c - any bytes as the file of a recorded trace, and as the contents of one: refused, or
 * every event is one that a program can do.
 *
 * What the reader maps is here as long as it is told to be and no longer, so that the sanitizer
 * sees what is read behind it; and is given back when the reader gives up, which ends a process
 * elsewhere.
 */
#include "fuzz.h"

#include "bench/workloads/trace.h"
#include "bench/workloads/workload.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAGIC         "NHTRACE1"
#define MAGIC_BYTES   (sizeof MAGIC - 1)
#define NUMBER_BYTES  5 /* at most */
#define NUMBER_BITS   7 /* in a byte */
#define NUMBER_MORE   0x80U
#define MAPPINGS_MOST 8
#define MAPPED_MOST   ((size_t)1 << 20) /* more takes long to fill, for an input of some bytes */
#define PATH_MOST     32

static jmp_buf given_up;
static bool reading;
static struct mapping {
    void *at;
    size_t size;
} mappings[MAPPINGS_MOST];

static int file = -1;
static char path[PATH_MOST];

void workload_fail(const char *what)
{
    FUZZ_CHECK(reading && strlen(what) > 0);
    longjmp(given_up, 1);
}

/* ---- In place of the C library's, by the linker (fuzz.cmake) ---- */

void *__real_mmap(void *at, size_t size, int protection, int flags, int from, off_t offset);
int __real_munmap(void *at, size_t size);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int from, off_t offset);
int __wrap_munmap(void *at, size_t size);
int __wrap_fprintf(FILE *to, const char *format, ...);

static struct mapping *find_mapping(const void *at)
{
    struct mapping *mapping = mappings;
    while (mapping < mappings + MAPPINGS_MOST && mapping->at != at)
        mapping++;
    return mapping < mappings + MAPPINGS_MOST ? mapping : NULL;
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int from, off_t offset)
{
    if (!reading)
        return __real_mmap(at, size, protection, flags, from, offset);
    struct mapping *mapping = find_mapping(NULL);
    FUZZ_CHECK(mapping != NULL && size != 0);
    if (size > MAPPED_MOST) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    *mapping = (struct mapping){calloc(size, 1), size};
    FUZZ_CHECK(mapping->at != NULL);
    if ((flags & MAP_ANONYMOUS) == 0)
        FUZZ_CHECK(pread(from, mapping->at, size, offset) == (ssize_t)size);
    return mapping->at;
}

int __wrap_munmap(void *at, size_t size)
{
    struct mapping *mapping = find_mapping(at);
    if (mapping == NULL)
        return __real_munmap(at, size);
    FUZZ_CHECK(mapping->size == size);
    free(at);
    mapping->at = NULL;
    return 0;
}

/* Which file is damaged is not said, once for each input. */
int __wrap_fprintf(FILE *to, const char *format, ...)
{
    if (strncmp(format, "workload: ", strlen("workload: ")) == 0)
        return 0;
    va_list arguments;
    va_start(arguments, format);
    int length = vfprintf(to, format, arguments);
    va_end(arguments);
    return length;
}

/* ---- The work ---- */

static void write_file(const uint8_t *head, size_t head_size, const uint8_t *data, size_t size)
{
    FUZZ_CHECK(ftruncate(file, 0) == 0 && pwrite(file, head, head_size, 0) == (ssize_t)head_size);
    FUZZ_CHECK(pwrite(file, data, size, (off_t)head_size) == (ssize_t)size);
}

static size_t put_number(uint8_t *to, size_t number)
{
    size_t length = 0;
    for (; number >= NUMBER_MORE; number >>= NUMBER_BITS)
        to[length++] = (uint8_t)(number | NUMBER_MORE);
    to[length++] = (uint8_t)number;
    return length;
}

/* The contents as one piece that is not compressed. */
static void write_contents(const uint8_t *data, size_t size)
{
    uint8_t head[MAGIC_BYTES + 2 * NUMBER_BYTES];
    memcpy(head, MAGIC, MAGIC_BYTES);
    size_t length = MAGIC_BYTES + put_number(head + MAGIC_BYTES, size);
    length += put_number(head + length, (size - 1) * 2);
    write_file(head, length, data, size);
}

static void check_kinds(const struct trace *trace)
{
    FUZZ_CHECK(trace->kinds >= 1 && trace->kinds <= TRACE_KINDS_MAX);
    for (size_t i = 0; i < trace->kinds; i++) {
        const struct trace_kind *kind = &trace->kind[i];
        FUZZ_CHECK(kind->call >= TRACE_MALLOC && kind->call <= TRACE_ALIGNED);
        FUZZ_CHECK(kind->alignment != 0 && (kind->alignment & (kind->alignment - 1)) == 0);
    }
}

static void check_events(const struct trace *trace)
{
    bool *live = calloc(trace->objects, sizeof *live);
    size_t objects = 0;
    FUZZ_CHECK(live != NULL);
    for (size_t i = 0; i < trace->events; i++) {
        const struct trace_event *event = &trace->event[i];
        FUZZ_CHECK(event->thread < trace->threads && event->kind < trace->kinds);
        if (event->what == TRACE_ALLOCATE) {
            FUZZ_CHECK(event->object == objects && objects < trace->objects);
            live[objects++] = true;
        }
        FUZZ_CHECK(event->object < objects && live[event->object]);
        live[event->object] = event->what != TRACE_FREE;
    }
    FUZZ_CHECK(objects == trace->objects);
    free(live);
}

static void read_file(void)
{
    static struct trace trace;
    reading = true;
    if (setjmp(given_up) == 0) {
        trace_read(&trace, path);
        reading = false;
        FUZZ_CHECK(trace.threads >= 1 && trace.threads <= TRACE_THREADS_MAX);
        check_kinds(&trace);
        check_events(&trace);
        trace_release(&trace);
        for (size_t i = 0; i < MAPPINGS_MOST; i++)
            FUZZ_CHECK(mappings[i].at == NULL);
        return;
    }
    reading = false;
    for (size_t i = 0; i < MAPPINGS_MOST; i++) {
        free(mappings[i].at);
        mappings[i].at = NULL;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (file < 0) {
        file = memfd_create("trace", MFD_CLOEXEC);
        FUZZ_CHECK(file >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    /* Of a shorter one the descriptor stays open, until the process has ended. */
    if (size > MAGIC_BYTES) {
        write_file(NULL, 0, data, size);
        read_file();
    }
    if (size > 0) {
        write_contents(data, size);
        read_file();
    }
    return 0;
}
