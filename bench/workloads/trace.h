/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * trace.h - a recorded trace of malloc, read from its compact form.
 *
 * tools/trace_format.py describes the form and what makes a trace.  Nothing here
 * calls malloc: memory comes from mmap, so that the heap measured holds nothing
 * but what the trace asks for.
 */
#ifndef NH_BENCH_TRACE_H
#define NH_BENCH_TRACE_H

#include <stddef.h>
#include <stdint.h>

#define TRACE_THREADS_MAX 1024
#define TRACE_KINDS_MAX   UINT16_MAX

enum trace_call { TRACE_MALLOC = 1, TRACE_CALLOC, TRACE_ALIGNED };

/* What is asked for. */
struct trace_kind {
    enum trace_call call;
    uint32_t size;
    uint32_t alignment; /* 1 but for TRACE_ALIGNED */
};

enum trace_what { TRACE_FREE, TRACE_REALLOC, TRACE_ALLOCATE };

struct trace_event {
    uint32_t object; /* from 0, in the order of their allocation */
    uint16_t thread;
    uint16_t kind; /* not of a free */
    enum trace_what what;
};

struct trace {
    unsigned threads;
    size_t objects, events, kinds;
    struct trace_kind *kind;
    /* Each object is allocated first and freed at most once, as its last event. */
    struct trace_event *event;
};

/* Ends the process if there is no sound trace in the file. */
void trace_read(struct trace *trace, const char *path);
/* What only planning needs; then the rest. */
void trace_release_events(struct trace *trace);
void trace_release(struct trace *trace);

/* `count` zeroed things of `size` bytes, in whole pages; ends the process if there is no
 * memory.  None is NULL. */
void *trace_memory(size_t count, size_t size);
void trace_memory_free(void *memory, size_t count, size_t size);

#endif
