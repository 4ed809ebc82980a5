/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * dump.c - nh_dump: what it says of spans agrees with a walk and with the counters, of objects
 * with what the program did, of pages with what it touched; while others go on it is whole;
 * and a file that refuses is told.
 */
#include "family.h"
#include "stay.h"

#include "nearheap.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define WORD_ROOM 32
#define ROW_PAGES 256
#define THREADS   3
#define OBJECTS   3000

/* ---- Reading a dump ---- */

struct span_line {
    uintptr_t base;
    size_t pages;
    char state[WORD_ROOM];
    int home, user;
    unsigned size_class, objects, held, cached;
    char age[WORD_ROOM];
};

/* The text of a dump, mapped: reading it allocates nothing. */
struct text {
    char *at;
    size_t length;
};

static struct text take_dump(void)
{
    int fd = memfd_create("dump", 0);
    assert_true(fd >= 0);
    assert_int_equal(nh_dump(fd), 0);
    off_t length = lseek(fd, 0, SEEK_END);
    assert_true(length > 0);
    /* A zero ends it: so that much more is mapped. */
    assert_int_equal(ftruncate(fd, length + 1), 0);
    char *at = mmap(NULL, (size_t)length + 1, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_true(at != MAP_FAILED);
    close(fd);
    assert_int_equal(strncmp(at, "nearheap-dump 1\n", 16), 0);
    return (struct text){at, (size_t)length};
}

static void drop(struct text dump)
{
    munmap(dump.at, dump.length + 1);
}

/* The next line that begins with `word`; NULL if none. */
static const char *next_line(const char *at, const char *word)
{
    size_t length = strlen(word);
    while (at != NULL && strncmp(at, word, length) != 0) {
        at = strchr(at, '\n');
        at = at != NULL && at[1] != '\0' ? at + 1 : NULL;
    }
    return at;
}

static const char *after(const char *line)
{
    line = strchr(line, '\n');
    return line != NULL && line[1] != '\0' ? line + 1 : NULL;
}

static const char *next_span(const char *at, struct span_line *out)
{
    at = next_line(at, "span ");
    if (at == NULL)
        return NULL;
    int fields = sscanf(at, "span %" SCNxPTR " %zu %31s %d %d %u %u %u %u %31s", &out->base,
                        &out->pages, out->state, &out->home, &out->user, &out->size_class,
                        &out->objects, &out->held, &out->cached, out->age);
    assert_int_equal(fields, 10);
    return after(at);
}

/* Well-formed to its end, spans in order and apart; how many. */
static size_t check_whole(struct text dump)
{
    struct span_line span;
    uintptr_t end = 0;
    size_t spans = 0, told;
    for (const char *at = dump.at; (at = next_span(at, &span)) != NULL;) {
        assert_true(span.base >= end);
        assert_true(span.pages != 0);
        assert_true(span.held + span.cached <= (span.objects != 0 ? span.objects : 1));
        end = span.base + span.pages * NH_PAGE_BYTES;
        spans++;
    }
    const char *last = next_line(dump.at, "end ");
    assert_non_null(last);
    assert_int_equal(sscanf(last, "end %zu", &told), 1);
    assert_int_equal(told, spans);
    assert_ptr_equal(strchr(last, '\n') + 1, dump.at + dump.length);
    return spans;
}

static uint64_t counter(const char *node_line, const char *name)
{
    char key[2 * WORD_ROOM];
    snprintf(key, sizeof key, " %s ", name);
    const char *found = strstr(node_line, key);
    assert_true(found != NULL && found < strchr(node_line, '\n'));
    return strtoull(found + strlen(key), NULL, 10);
}

/* ---- What spans hold ---- */

struct sums {
    size_t spans, pages, held;
    uint64_t bytes;
};

static int add_walked(const struct nh_span *span, void *arg)
{
    struct sums *sums = arg;
    sums->spans++;
    sums->pages += span->size / NH_PAGE_BYTES;
    sums->held += span->held;
    sums->bytes += span->held * span->object_size;
    return 0;
}

static struct sums sums_of_dump(struct text dump, size_t *cached)
{
    struct sums sums = {0};
    struct span_line span;
    size_t bytes_of[256] = {0};
    unsigned cls, objects, pages;
    size_t bytes;
    for (const char *at = next_line(dump.at, "class "); at != NULL; at = next_line(at, "class ")) {
        assert_int_equal(sscanf(at, "class %u %zu %u %u", &cls, &bytes, &objects, &pages), 4);
        bytes_of[cls % 256] = bytes;
        at = after(at);
    }
    *cached = 0;
    for (const char *at = dump.at; (at = next_span(at, &span)) != NULL;) {
        sums.spans++;
        sums.pages += span.pages;
        sums.held += span.held;
        *cached += span.cached;
        sums.bytes += span.held * (span.size_class != 0 ? bytes_of[span.size_class % 256]
                                                        : span.pages * NH_PAGE_BYTES);
    }
    return sums;
}

static const size_t sizes[] = {1, 16, 100, 640, 1000, 3000, 9000, 60000, 70000, 300000};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))
static void *objects[OBJECTS];

static void fill(void)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = malloc(sizes[i % SIZES]);
        assert_non_null(objects[i]);
    }
    for (size_t i = 0; i < OBJECTS; i += 3) {
        free(objects[i]);
        objects[i] = NULL;
    }
}

static void empty(void)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        free(objects[i]);
        objects[i] = NULL;
    }
}

static void agrees_with_a_walk(void **state)
{
    (void)state;
    fill();
    struct sums walked = {0}, none = {0};
    assert_int_equal(nh_walk_spans(add_walked, &none), 0); /* nothing is cached from here on */
    struct text dump = take_dump();
    assert_int_equal(nh_walk_spans(add_walked, &walked), 0);
    size_t cached;
    struct sums dumped = sums_of_dump(dump, &cached);
    assert_int_equal(check_whole(dump), dumped.spans);
    assert_int_equal(dumped.spans, walked.spans);
    assert_int_equal(dumped.pages, walked.pages);
    assert_int_equal(dumped.held, walked.held);
    assert_int_equal(dumped.bytes, walked.bytes);
    assert_int_equal(cached, 0);
    assert_true(dumped.held >= OBJECTS * 2 / 3);

    uint64_t mapped = 0, live = 0;
    for (const char *at = next_line(dump.at, "node "); at != NULL; at = next_line(at, "node ")) {
        mapped += counter(at, "mapped_bytes");
        live += counter(at, "live_bytes");
        at = after(at);
    }
    /* Guard pages are in no span. */
    assert_true(hardened() ? mapped > dumped.pages * NH_PAGE_BYTES
                           : mapped == dumped.pages * NH_PAGE_BYTES);
    assert_int_equal(live, dumped.bytes);
    drop(dump);
    empty();
}

static void what_is_cached_is_told_apart(void **state)
{
    (void)state;
    enum { COUNT = 8, SIZE = 48 };
    void *mine[COUNT];
    cpu_set_t everywhere = stay_here(); /* with one cache, then */
    /* A full quarantine would let others go for these: a walk empties it. */
    struct sums walked = {0};
    assert_int_equal(nh_walk_spans(add_walked, &walked), 0);
    for (int i = 0; i < COUNT; i++)
        mine[i] = malloc(SIZE);
    size_t cached_before, cached_after;
    struct text dump = take_dump();
    struct sums before = sums_of_dump(dump, &cached_before);
    drop(dump);
    for (int i = 0; i < COUNT; i++)
        free(mine[i]);
    dump = take_dump();
    struct sums after_free = sums_of_dump(dump, &cached_after);
    drop(dump);
    assert_int_equal(before.held - after_free.held, COUNT);
    assert_int_equal(cached_after - cached_before, COUNT);
    assert_int_equal(before.spans, after_free.spans);
    stay_on(&everywhere);
}

/* ---- Pages ---- */

static bool is_resident(struct text dump, uintptr_t address)
{
    uintptr_t row = address / (ROW_PAGES * NH_PAGE_BYTES) * (ROW_PAGES * NH_PAGE_BYTES);
    size_t page = (address - row) / NH_PAGE_BYTES;
    char key[WORD_ROOM];
    snprintf(key, sizeof key, "resident %" PRIxPTR " ", row);
    const char *line = next_line(dump.at, key);
    if (line == NULL)
        return false;
    const char *digits = line + strlen(key);
    if (strncmp(digits, "all\n", 4) == 0)
        return true;
    char digit[2] = {digits[page / 4], '\0'};
    return (strtoul(digit, NULL, 16) >> page % 4 & 1) != 0;
}

static void touched_pages_are_resident(void **state)
{
    (void)state;
    enum { PAGES = 2000, TOUCHED = 700 };
    nh_scavenge(-1);
    char *pages = nh_pages_alloc(PAGES, -1);
    assert_non_null(pages);
    /* Others may be there: from memory that was in use before, or as parts of huge pages. */
    madvise(pages, PAGES * NH_PAGE_BYTES, MADV_NOHUGEPAGE);
    madvise(pages, PAGES * NH_PAGE_BYTES, MADV_DONTNEED);
    for (size_t i = 0; i < TOUCHED; i++)
        pages[i * NH_PAGE_BYTES] = 1;
    struct text dump = take_dump();
    for (size_t i = 0; i < PAGES; i++) {
        bool known = i < TOUCHED || i >= TOUCHED + (size_t)sysconf(_SC_PAGESIZE) / NH_PAGE_BYTES;
        if (known)
            assert_int_equal(is_resident(dump, (uintptr_t)pages + i * NH_PAGE_BYTES), i < TOUCHED);
    }
    drop(dump);
    nh_pages_free(pages);
}

/* ---- Others ---- */

static _Atomic bool stop;

static void *churns(void *arg)
{
    size_t step = 1 + (size_t)(uintptr_t)arg;
    void *mine[200] = {NULL};
    for (size_t i = 0; !atomic_load(&stop); i += step) {
        free(mine[i % 200]);
        mine[i % 200] = malloc(sizes[i % SIZES]);
    }
    for (size_t i = 0; i < 200; i++)
        free(mine[i]);
    return NULL;
}

/* Spans of what the program holds all the time are there, whatever others do. */
static void while_others_go_on(void **state)
{
    (void)state;
    fill();
    char *pages = nh_pages_alloc(3, -1);
    pthread_t threads[THREADS];
    atomic_store(&stop, false);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churns, (void *)i), 0);
    for (unsigned i = 0; i < 20; i++) {
        struct text dump = take_dump();
        (void)check_whole(dump);
        char key[3 * WORD_ROOM];
        snprintf(key, sizeof key, "span %" PRIxPTR " 3 pages ", (uintptr_t)pages);
        assert_non_null(next_line(dump.at, key));
        size_t cached;
        assert_true(sums_of_dump(dump, &cached).held >= OBJECTS * 2 / 3);
        drop(dump);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    nh_pages_free(pages);
    empty();
}

static void files_that_refuse(void **state)
{
    (void)state;
    errno = 0;
    assert_int_equal(nh_dump(-1), -1);
    assert_int_equal(errno, EBADF);
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        skip();
    assert_int_equal(nh_dump(fd), -1);
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_walk),
        cmocka_unit_test(what_is_cached_is_told_apart),
        cmocka_unit_test(touched_pages_are_resident),
        cmocka_unit_test(while_others_go_on),
        cmocka_unit_test(files_that_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
