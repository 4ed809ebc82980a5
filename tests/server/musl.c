/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * musl.c - a program for musl.sh, linked to another C library than glibc: it allocates in
 * a constructor, in threads that hand their objects to others, in children of theirs and
 * in an exit handler, and the C library allocates for it.  All contents are verified.
 *
 * It knows nothing of nearheap, which is preloaded or linked into it; the statistics that
 * are printed at its end show whose objects they were.
 */
#include "check.h"

#include <pthread.h>
#include <sys/wait.h>

#define THREADS       4
#define ROUNDS        2000
#define OBJECTS       64
#define CHILDREN      5 /* of each thread */
#define CHILD_SECONDS 60
#define LARGE         ((size_t)3 << 20)
#define ALIGNMENT_MAX ((size_t)4096)

static void *early; /* since the constructor */
#define EARLY_BYTES ((size_t)1000)

/* Objects that one thread leaves and another one takes. */
static pthread_mutex_t exchange_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    void *at;
    size_t size;
} exchange[OBJECTS];

__attribute__((constructor)) static void construct(void)
{
    early = filled(EARLY_BYTES);
}

static void *zeroed(size_t size)
{
    unsigned char *at = calloc(1, size);
    CHECK(at != NULL);
    for (size_t i = 0; i < size; i++)
        CHECK(at[i] == 0);
    fill(at, size);
    return at;
}

static void *aligned(size_t alignment, size_t size)
{
    void *at = aligned_alloc(alignment, size);
    CHECK(at != NULL && (uintptr_t)at % alignment == 0);
    fill(at, size);
    return at;
}

static void *grown(size_t size)
{
    size_t had = size / 2 + 1;
    void *before = filled(had);
    uintptr_t was = (uintptr_t)before;
    void *at = realloc(before, size);
    CHECK(at != NULL);
    verify_part(at, was, had, had < size ? had : size);
    fill(at, size);
    return at;
}

static void *allocated(uint32_t *state, size_t size)
{
    switch (random_next32(state) % 4) {
    case 0:
        return filled(size);
    case 1:
        return zeroed(size);
    case 2:
        return aligned(ALIGNMENT_MAX >> random_next32(state) % 8, size);
    default:
        return grown(size);
    }
}

static void exchange_one(uint32_t *state)
{
    size_t size = 1 + random_next32(state) % (random_next32(state) % 16 == 0 ? 100000 : 2000);
    size_t place = random_next32(state) % OBJECTS;
    void *at = allocated(state, size);
    pthread_mutex_lock(&exchange_lock);
    void *before = exchange[place].at;
    size_t before_size = exchange[place].size;
    exchange[place].at = at;
    exchange[place].size = size;
    pthread_mutex_unlock(&exchange_lock);
    if (before != NULL)
        verify_free(before, before_size);
}

/* What the C library allocates itself, and what it lets the program free. */
static void use_library(void)
{
    static const char expected[] = "0: a line that is written to memory\n";
    char *text, *line = NULL, *copy;
    size_t length, room = 0;
    FILE *file = open_memstream(&text, &length);
    CHECK(file != NULL && fputs(expected, file) >= 0 && fclose(file) == 0);
    CHECK(length == sizeof expected - 1 && strcmp(text, expected) == 0);
    file = fmemopen(text, length, "r");
    CHECK(file != NULL && getline(&line, &room, file) == (ssize_t)length && fclose(file) == 0);
    copy = strdup(line);
    CHECK(copy != NULL && strcmp(copy, expected) == 0);
    free(copy);
    free(line);
    free(text);
}

static void *child_thread(void *arg)
{
    uint32_t state = 1;
    for (int i = 0; i < ROUNDS / 10; i++) {
        size_t size = 1 + random_next32(&state) % 5000;
        verify_free(allocated(&state, size), size);
    }
    return arg;
}

/* Whatever the parent's other threads held at that moment, it allocates, with threads. */
static void fork_one(void *mine, size_t size)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        pthread_t thread;
        (void)alarm(CHILD_SECONDS);
        verify_free(mine, size);
        CHECK(pthread_create(&thread, NULL, child_thread, NULL) == 0);
        (void)child_thread(NULL);
        CHECK(pthread_join(thread, NULL) == 0);
        use_library();
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    verify_free(mine, size);
}

static void *work(void *arg)
{
    uint32_t state = (uint32_t)(uintptr_t)arg;
    for (int i = 0; i < ROUNDS; i++) {
        exchange_one(&state);
        if (i % (ROUNDS / CHILDREN) == 0)
            fork_one(filled(LARGE), LARGE);
    }
    use_library();
    return NULL;
}

static void at_end(void)
{
    verify_free(early, EARLY_BYTES);
    for (size_t i = 0; i < OBJECTS; i++)
        if (exchange[i].at != NULL)
            verify_free(exchange[i].at, exchange[i].size);
    puts("verified");
}

int main(void)
{
    pthread_t threads[THREADS];
    CHECK(atexit(at_end) == 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    return 0;
}
