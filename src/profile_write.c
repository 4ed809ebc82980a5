/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * profile_write.c - see profile_write.h; field numbers are those of profile.proto
 * (github.com/google/pprof).
 */
#include "profile_write.h"

#include "heap.h"
#include "log.h"
#include "numa/topology.h"
#include "options.h"
#include "os.h"
#include "pprof.h"
#include "profile.h"
#include "profile_maps.h"
#include "report_file.h"
#include "sampling.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum profile_field {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE = 2,
    PROFILE_MAPPING = 3,
    PROFILE_LOCATION = 4,
    PROFILE_STRING = 6,
    PROFILE_DROP_FRAMES = 7,
    PROFILE_TIME_NANOS = 9,
    PROFILE_PERIOD_TYPE = 11,
    PROFILE_PERIOD = 12,
    PROFILE_DEFAULT_TYPE = 14
};
enum value_type_field { VALUE_TYPE = 1, VALUE_UNIT = 2 };
enum sample_field { SAMPLE_LOCATIONS = 1, SAMPLE_VALUES = 2, SAMPLE_LABEL = 3 };
enum label_field { LABEL_KEY = 1, LABEL_STRING = 2 };
enum mapping_field {
    MAPPING_ID = 1,
    MAPPING_BEGIN = 2,
    MAPPING_END = 3,
    MAPPING_OFFSET = 4,
    MAPPING_PATH = 5,
    MAPPING_BUILD_ID = 6
};
enum location_field { LOCATION_ID = 1, LOCATION_MAPPING = 2, LOCATION_ADDRESS = 3 };

/* What pprof leaves out of stacks: names of this library, in a program that has it inside. */
#define OWN_FRAMES "nh_.*|([mcv]|re|pv|aligned_)alloc|reallocarray|(posix_)?memalign|operator new.*"

/* Strings by their place in the file's table; lifetimes follow one another, and names of
 * nodes and then of mappings follow these. */
#define STRINGS(X)                                                                                 \
    X(NONE, "")                                                                                    \
    X(ALLOC_OBJECTS, "alloc_objects")                                                              \
    X(ALLOC_SPACE, "alloc_space")                                                                  \
    X(INUSE_OBJECTS, "inuse_objects")                                                              \
    X(INUSE_SPACE, "inuse_space")                                                                  \
    X(SAMPLES, "samples")                                                                          \
    X(COUNT, "count")                                                                              \
    X(BYTES, "bytes")                                                                              \
    X(SPACE, "space")                                                                              \
    X(ALLOC_NODE, "alloc_node")                                                                    \
    X(FREE_NODE, "free_node")                                                                      \
    X(LIFETIME, "lifetime")                                                                        \
    X(LIFETIMES, "<1ms")                                                                           \
    X(TO_10_MS, "<10ms")                                                                           \
    X(TO_100_MS, "<100ms")                                                                         \
    X(TO_1_S, "<1s")                                                                               \
    X(TO_10_S, "<10s")                                                                             \
    X(TO_100_S, "<100s")                                                                           \
    X(LONGER, ">=100s")                                                                            \
    X(LIVE, "live")                                                                                \
    X(OWN_FRAMES, OWN_FRAMES)

enum string {
#define STRING(name, text) STRING_##name,
    STRINGS(STRING)
#undef STRING
        STRINGS_FIXED
};
NH_STATIC(STRING_LIVE - STRING_LIFETIMES == PROFILE_LIVE, "a string for each lifetime");

/* What is mapped; addresses beyond have no mapping. */
#define MAPPINGS_MAX 1024

#define PATH_BYTES 1024
#define NS_A_S     1000000000

/* All of this belongs to who is in `writing`. */
static struct writer {
    struct pprof_file file;
    struct pprof_message message, part;
    struct maps_room maps;
    char path[PATH_BYTES]; /* not on a stack, which may be a small one for signals */
    uint64_t strings;      /* written so far */
    size_t mappings;
    struct {
        uintptr_t begin, end;
    } mapping[MAPPINGS_MAX];
} writer;

/* The number of the thread that writes, or 0, and: */
#define WRITER  0x3fffffffU /* the kernel's numbers are below (futex(2)) */
#define ENDING  0x40000000U /* the process ends: whoever asks is not served any more */
#define SLEEPER 0x80000000U /* the thread that ends it waits for the one that writes */

/* Sequentially consistent: whoever ends a write and finds nothing asked, and whoever asks and finds
 * a write under way, would both be wrong only if each missed the other's store. */
static _Atomic uint32_t writing;
static _Atomic bool asked;

/* How long the end of the process waits for a write, whose file may be a pipe that nobody reads. */
#define LAST_WAIT_S 10

/* ---- Parts of the file ---- */

static void put_string(const char *text)
{
    pprof_put_string(&writer.file, PROFILE_STRING, text);
    writer.strings++;
}

static void put_strings(void)
{
    static const char *const texts[] = {
#define STRING(name, text) text,
        STRINGS(STRING)
#undef STRING
    };
    writer.strings = 0;
    for (unsigned i = 0; i < STRINGS_FIXED; i++)
        put_string(texts[i]);
    /* Heaps' slots in order, then the interleaved one. */
    for (unsigned slot = 0; slot < topology_now()->slots; slot++) {
        char buffer[16];
        struct text name = {.at = buffer, .room = sizeof buffer};
        text_add(&name, "%d", topology_now()->os_node[slot]);
        put_string(buffer);
    }
    put_string("interleaved");
}

static uint64_t node_string(unsigned slot)
{
    unsigned slots = topology_now()->slots;
    return STRINGS_FIXED + (slot < slots ? slot : slots);
}

static void put_value_type(unsigned field, enum string type, enum string unit)
{
    writer.message.used = 0;
    pprof_add_number(&writer.message, VALUE_TYPE, type);
    pprof_add_number(&writer.message, VALUE_UNIT, unit);
    pprof_put_message(&writer.file, field, &writer.message);
}

static void add_label(enum string key, uint64_t value)
{
    writer.part.used = 0;
    pprof_add_number(&writer.part, LABEL_KEY, key);
    pprof_add_number(&writer.part, LABEL_STRING, value);
    pprof_add_message(&writer.message, SAMPLE_LABEL, &writer.part);
}

static void put_sample(const struct profile_stack *stack, const struct profile_bucket *bucket)
{
    uint64_t samples = atomic_load_explicit(&bucket->samples, memory_order_relaxed);
    if (samples == 0)
        return;
    uint64_t objects =
        (atomic_load_explicit(&bucket->objects, memory_order_relaxed) + PROFILE_UNIT / 2) /
        PROFILE_UNIT;
    uint64_t bytes = atomic_load_explicit(&bucket->bytes, memory_order_relaxed);
    bool live = bucket->life == PROFILE_LIVE;

    writer.message.used = writer.part.used = 0;
    for (unsigned i = 0; i < stack->depth; i++)
        pprof_add_packed(&writer.part, stack->frame[i]);
    pprof_add_message(&writer.message, SAMPLE_LOCATIONS, &writer.part);
    writer.part.used = 0;
    pprof_add_packed(&writer.part, objects);
    pprof_add_packed(&writer.part, bytes);
    pprof_add_packed(&writer.part, live ? objects : 0);
    pprof_add_packed(&writer.part, live ? bytes : 0);
    pprof_add_packed(&writer.part, samples);
    pprof_add_message(&writer.message, SAMPLE_VALUES, &writer.part);
    add_label(STRING_ALLOC_NODE, node_string(bucket->slot));
    if (!live)
        add_label(STRING_FREE_NODE, node_string(bucket->freed_from));
    add_label(STRING_LIFETIME, STRING_LIFETIMES + (uint64_t)bucket->life);
    pprof_put_message(&writer.file, PROFILE_SAMPLE, &writer.message);
}

static void put_mapping(const struct map *map, void *arg)
{
    (void)arg;
    if (writer.mappings == MAPPINGS_MAX)
        return;
    writer.mapping[writer.mappings].begin = map->begin;
    writer.mapping[writer.mappings].end = map->end;
    writer.mappings++;
    writer.message.used = 0;
    pprof_add_number(&writer.message, MAPPING_ID, writer.mappings);
    pprof_add_number(&writer.message, MAPPING_BEGIN, map->begin);
    pprof_add_number(&writer.message, MAPPING_END, map->end);
    pprof_add_number(&writer.message, MAPPING_OFFSET, map->offset);
    pprof_add_number(&writer.message, MAPPING_PATH, writer.strings);
    put_string(map->path);
    if (map->build_id[0] != '\0') {
        pprof_add_number(&writer.message, MAPPING_BUILD_ID, writer.strings);
        put_string(map->build_id);
    }
    pprof_put_message(&writer.file, PROFILE_MAPPING, &writer.message);
}

/* Its address is its number. */
static void put_location(uintptr_t address)
{
    writer.message.used = 0;
    pprof_add_number(&writer.message, LOCATION_ID, address);
    for (size_t i = 0; i < writer.mappings; i++)
        if (address >= writer.mapping[i].begin && address < writer.mapping[i].end)
            pprof_add_number(&writer.message, LOCATION_MAPPING, i + 1);
    pprof_add_number(&writer.message, LOCATION_ADDRESS, address);
    pprof_put_message(&writer.file, PROFILE_LOCATION, &writer.message);
}

static int put_profile(int fd)
{
    pprof_begin(&writer.file, fd);
    put_strings();
    put_value_type(PROFILE_SAMPLE_TYPE, STRING_ALLOC_OBJECTS, STRING_COUNT);
    put_value_type(PROFILE_SAMPLE_TYPE, STRING_ALLOC_SPACE, STRING_BYTES);
    put_value_type(PROFILE_SAMPLE_TYPE, STRING_INUSE_OBJECTS, STRING_COUNT);
    put_value_type(PROFILE_SAMPLE_TYPE, STRING_INUSE_SPACE, STRING_BYTES);
    put_value_type(PROFILE_SAMPLE_TYPE, STRING_SAMPLES, STRING_COUNT);
    put_value_type(PROFILE_PERIOD_TYPE, STRING_SPACE, STRING_BYTES);
    pprof_put_number(&writer.file, PROFILE_PERIOD, sampling_rate(SAMPLING_PROFILE));
    pprof_put_number(&writer.file, PROFILE_DEFAULT_TYPE, STRING_INUSE_SPACE);
    pprof_put_number(&writer.file, PROFILE_DROP_FRAMES, STRING_OWN_FRAMES);
    pprof_put_number(&writer.file, PROFILE_TIME_NANOS, os_clock_ns(CLOCK_REALTIME));
    for (struct profile_stack *stack = profile_stacks(); stack != NULL; stack = stack->next)
        for (struct profile_bucket *bucket = profile_buckets(stack); bucket != NULL;
             bucket = bucket->next)
            put_sample(stack, bucket);
    writer.mappings = 0;
    maps_visit(&writer.maps, put_mapping, NULL);
    /* After the stacks: those that came meanwhile have places that are not needed. */
    for (struct profile_place *place = profile_places(); place != NULL; place = place->next)
        put_location(place->address);
    return pprof_end(&writer.file);
}

/* ---- Who writes ---- */

/* False where one writes, or `writing` has anything else but what is allowed. */
static bool begin_write(uint32_t allowed)
{
    uint32_t word = atomic_load(&writing);
    do
        if ((word & ~allowed) != 0)
            return false;
    while (!atomic_compare_exchange_weak(&writing, &word, word | (uint32_t)gettid()));
    return true;
}

static void end_write(void)
{
    if ((atomic_fetch_and(&writing, ENDING) & SLEEPER) != 0)
        syscall(SYS_futex, &writing, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* While `writing` is `word`; false when it has become too late. */
static bool wait_for_writer(uint32_t word, const struct timespec *until)
{
    return syscall(SYS_futex, &writing, FUTEX_WAIT_BITSET_PRIVATE, word, until, NULL,
                   FUTEX_BITSET_MATCH_ANY) == 0 ||
           errno == EAGAIN || errno == EINTR;
}

/* Waits for another's write, whose file would be left in pieces.  One that the thread itself is in
 * the midst of does not go on any more: exit was called by a signal's handler. */
static bool begin_last_write(void)
{
    uint32_t own = (uint32_t)gettid();
    struct timespec until = {.tv_sec =
                                 (time_t)(os_clock_ns(CLOCK_MONOTONIC) / NS_A_S) + LAST_WAIT_S};
    uint32_t word = atomic_fetch_or(&writing, ENDING) | ENDING;
    for (;;) {
        uint32_t who = word & WRITER;
        if (who == 0 || who == own) {
            if (atomic_compare_exchange_weak(&writing, &word, own | ENDING))
                return true;
        } else if (atomic_compare_exchange_weak(&writing, &word, word | SLEEPER)) {
            if (!wait_for_writer(word | SLEEPER, &until))
                return false;
            word = atomic_load(&writing);
        }
    }
}

/* ---- Files ---- */

static int write_file(const char *pattern)
{
    struct text path = {.at = writer.path, .room = sizeof writer.path};
    if (!report_file_path(&path, pattern))
        return ENAMETOOLONG;
    int fd = report_file_create(writer.path);
    if (fd < 0)
        return errno;
    int error = put_profile(fd);
    syscall(SYS_close, fd);
    return error;
}

static void write_as_asked(const char *pattern)
{
    char room[LOG_ERROR_ROOM];
    if (*pattern == '\0') {
        log_line(LOG_ERROR, "no profile is written: NEARHEAP_PROFILE names no file");
        return;
    }
    int error = write_file(pattern);
    if (error != 0)
        log_line(LOG_ERROR, "cannot write the profile to %s (NEARHEAP_PROFILE): %s", pattern,
                 log_error(error, room));
}

/* Whoever finds that somebody asked, and nobody writes. */
static void serve(void)
{
    while (atomic_load(&asked) && begin_write(0)) {
        atomic_store(&asked, false);
        write_as_asked(options_text(OPT_PROFILE));
        end_write();
    }
}

int profile_write(const char *path)
{
    if (path == NULL)
        path = options_text(OPT_PROFILE);
    if (*path == '\0')
        return EINVAL;
    if (!begin_write(ENDING))
        return EBUSY;
    int error = write_file(path);
    end_write();
    serve();
    return error;
}

int profile_write_to(int fd)
{
    if (!begin_write(ENDING))
        return EBUSY;
    int error = put_profile(fd);
    end_write();
    serve();
    return error;
}

/* Interrupts whatever it is; where that is a write, that one goes on with this. */
static void on_signal(int number)
{
    (void)number;
    int saved = errno;
    atomic_store(&asked, true);
    serve();
    errno = saved;
}

void profile_begin(void)
{
    int number = (int)options_get(OPT_PROFILE_SIGNAL);
    if (*options_text(OPT_PROFILE) != '\0')
        (void)profile_start((uint64_t)options_get(OPT_PROFILE_RATE));
    else if (number != 0)
        log_line(LOG_WARNING, "NEARHEAP_PROFILE_SIGNAL without NEARHEAP_PROFILE, which says where "
                              "to: no profile is written");
    /* Also where there is nothing to write: the signal would end the process.  On the thread's
     * alternate stack, if it has one: its own may be too small, as those of Go's threads are. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
    if (number != 0 && sigaction(number, &action, NULL) != 0)
        log_line(LOG_ERROR, "NEARHEAP_PROFILE_SIGNAL=%d cannot be handled; ignoring it", number);
}

void profile_at_exit(void)
{
    if (*options_text(OPT_PROFILE) == '\0')
        return;
    if (!begin_last_write()) {
        log_line(LOG_ERROR,
                 "no profile at the end: another thread has been writing one for %d seconds",
                 LAST_WAIT_S);
        return;
    }
    write_as_asked(options_text(OPT_PROFILE));
    end_write();
}

void profile_fork_child(void)
{
    atomic_store(&writing, 0);
}
