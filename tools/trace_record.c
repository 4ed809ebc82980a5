/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * trace_record.c - preloaded into a program, it writes down every call of malloc
 * and its kin, in an order in which they can be done again.
 *
 * Calls go on to the next library's malloc.  Events are numbered by one counter:
 * an allocation after it was made and before its caller knows, a free before it
 * is done.  So of two events on an object, or on two objects that had one address
 * after each other, the number of the earlier is lower; a realloc, which does
 * both, is two events.  That is all the order that doing them again needs.
 *
 * Events lie in a shared mapping of the file, at the place of their number: what
 * was recorded is in the file however the program ends, and nothing is done at
 * its end.  A child of fork records nothing.  tools/trace reads the file; its
 * form, struct log, is the two programs' own affair and changes with them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPORT         __attribute__((visibility("default")))
#define LOG_MAGIC      0x31474f4c4341524eULL /* "NRACLOG1" in memory */
#define EVENTS_DEFAULT 4000000ULL            /* 96 MB, of which only what is used takes space */
#define EVENTS_MAX     (1ULL << 32)
#define STATUS_CANNOT  125 /* as of env and other commands that run one */
#define STATE_PAGE     4096

enum call {
    CALL_NONE, /* a place whose event was not written when the program was killed */
    CALL_MALLOC,
    CALL_CALLOC,
    CALL_ALIGNED,
    CALL_FREE,
    CALL_REALLOC_FROM, /* before: the address given */
    CALL_REALLOC_TO,   /* after: the address returned, NULL when it failed */
};

struct event {
    uint64_t address;
    uint64_t size;
    uint32_t thread;       /* from 1 */
    uint8_t alignment;     /* its binary logarithm; 0 when none was asked for */
    _Atomic(uint8_t) call; /* stored last, with release: pairs with nothing in this process,
                              but the file has no event in halves */
    uint16_t unused;
};

struct log {
    uint64_t magic;
    uint64_t pid;             /* whose */
    uint64_t skip;            /* events numbered below are not written down */
    uint64_t room;            /* events that there is room for */
    _Atomic(uint64_t) next;   /* number of the next event.  Relaxed: what orders two calls, the
                                 allocator's own handing over or the program's, orders these, too */
    _Atomic(uint32_t) thread; /* the last thread's number; relaxed, for the same reason */
    uint32_t unused;
    uint64_t reserved[2];
    struct event events[];
};

/* In a page that the kernel clears in a child of fork, whichever call made it. */
struct state {
    struct log *log; /* NULL: nothing is recorded */
};

static struct state *state;
static _Thread_local __attribute__((tls_model("initial-exec"))) uint32_t own_number;

static void record(enum call call, const void *address, size_t size, size_t alignment)
{
    if (state == NULL || state->log == NULL)
        return;
    struct log *log = state->log;
    uint64_t number = atomic_fetch_add_explicit(&log->next, 1, memory_order_relaxed);
    if (number < log->skip || number - log->skip >= log->room)
        return;
    if (own_number == 0)
        own_number = atomic_fetch_add_explicit(&log->thread, 1, memory_order_relaxed) + 1;
    struct event *event = &log->events[number - log->skip];
    event->address = (uint64_t)(uintptr_t)address;
    event->size = size;
    event->thread = own_number;
    event->alignment = alignment == 0 ? 0 : (uint8_t)__builtin_ctzll(alignment);
    atomic_store_explicit(&event->call, (uint8_t)call, memory_order_release);
}

/* ---- The next library's functions ------------------------------------------ */

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    void *(*memalign)(size_t, size_t);
    void (*free)(void *);
} next;

_Noreturn static void stop(const char *what, const char *which)
{
    dprintf(STDERR_FILENO, "trace_record: %s: %s\n", which, what);
    _exit(STATUS_CANNOT);
}

static void find(void *function, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        stop("no library has this function", name);
    memcpy(function, &found, sizeof found);
}

/* False inside dlsym itself, which gets along without memory.  The first call of
 * all comes before there is a second thread: creating one allocates. */
static bool found_next(void)
{
    static bool finding;
    if (next.free != NULL)
        return true;
    if (finding)
        return false;
    finding = true;
    find(&next.malloc, "malloc");
    find(&next.calloc, "calloc");
    find(&next.realloc, "realloc");
    find(&next.posix_memalign, "posix_memalign");
    find(&next.aligned_alloc, "aligned_alloc");
    find(&next.memalign, "memalign");
    find(&next.free, "free"); /* last: it says that all are there */
    finding = false;
    return true;
}

/* ---- malloc and its kin ------------------------------------------------------ */

EXPORT void *malloc(size_t size)
{
    if (!found_next())
        return NULL;
    void *at = next.malloc(size);
    if (at != NULL)
        record(CALL_MALLOC, at, size, 0);
    return at;
}

EXPORT void *calloc(size_t count, size_t size)
{
    if (!found_next())
        return NULL;
    void *at = next.calloc(count, size);
    if (at != NULL)
        record(CALL_CALLOC, at, count * size, 0);
    return at;
}

EXPORT void *realloc(void *from, size_t size)
{
    if (!found_next())
        return NULL;
    if (from != NULL)
        record(CALL_REALLOC_FROM, from, 0, 0);
    void *at = next.realloc(from, size);
    if (at != NULL || from != NULL)
        record(CALL_REALLOC_TO, at, size, 0);
    return at;
}

EXPORT void free(void *at)
{
    if (at == NULL || !found_next())
        return;
    record(CALL_FREE, at, 0, 0);
    next.free(at);
}

EXPORT int posix_memalign(void **to, size_t alignment, size_t size)
{
    if (!found_next())
        return ENOMEM;
    int error = next.posix_memalign(to, alignment, size);
    if (error == 0 && *to != NULL)
        record(CALL_ALIGNED, *to, size, alignment);
    return error;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    if (!found_next())
        return NULL;
    void *at = next.aligned_alloc(alignment, size);
    if (at != NULL)
        record(CALL_ALIGNED, at, size, alignment);
    return at;
}

EXPORT void *memalign(size_t alignment, size_t size);

EXPORT void *memalign(size_t alignment, size_t size)
{
    if (!found_next())
        return NULL;
    void *at = next.memalign(alignment, size);
    if (at != NULL)
        record(CALL_ALIGNED, at, size, alignment);
    return at;
}

/* ---- Beginning ------------------------------------------------------------------ */

/* Everything that the environment says, read here and nowhere else. */
struct settings {
    const char *file; /* NULL: record nothing */
    uint64_t skip;
    uint64_t room;
};

static uint64_t number_of(const char *name, uint64_t usual)
{
    const char *text = getenv(name); /* NOLINT(concurrency-mt-unsafe): before main */
    if (text == NULL)
        return usual;
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *text == '-' || number > EVENTS_MAX)
        stop("is not a number of events", name);
    return number;
}

static struct settings read_environment(void)
{
    return (struct settings){
        .file = getenv("TRACE_RECORD_FILE"), /* NOLINT(concurrency-mt-unsafe): before main */
        .skip = number_of("TRACE_RECORD_SKIP", 0),
        .room = number_of("TRACE_RECORD_EVENTS", EVENTS_DEFAULT)};
}

/* The file, empty; -1 when another process records into it.  One that is there
 * already and ours is of the program that this one took the place of by exec. */
static int open_file(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file >= 0)
        return file;
    if (errno != EEXIST || (file = open(path, O_RDWR | O_CLOEXEC)) < 0)
        stop(strerror(errno), path); /* NOLINT(concurrency-mt-unsafe): before main */
    struct log head;
    if (pread(file, &head, sizeof head, 0) == (ssize_t)sizeof head && head.magic == LOG_MAGIC &&
        head.pid == (uint64_t)getpid() && ftruncate(file, 0) == 0)
        return file;
    close(file);
    return -1;
}

__attribute__((constructor)) static void begin(void)
{
    struct settings settings = read_environment();
    if (settings.file == NULL)
        return;
    int file = open_file(settings.file);
    if (file < 0)
        return;
    size_t size = sizeof(struct log) + settings.room * sizeof(struct event);
    struct log *log = MAP_FAILED;
    if (ftruncate(file, (off_t)size) == 0)
        log = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    struct state *page =
        mmap(NULL, STATE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (log == MAP_FAILED || page == MAP_FAILED || madvise(page, STATE_PAGE, MADV_WIPEONFORK) != 0)
        stop("cannot be mapped, or the kernel is older than 4.14", settings.file);
    close(file);
    log->magic = LOG_MAGIC;
    log->pid = (uint64_t)getpid();
    log->skip = settings.skip;
    log->room = settings.room;
    page->log = log;
    found_next();
    state = page;
}
