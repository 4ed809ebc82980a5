/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * fragmented.c - a program whose heap is fragmented on purpose, for the map and the
 * walk-through of how that is found and mended.
 *
 *   fragmented DUMP     fragments its heap, writes its dump and ends
 *   fragmented          fragments its heap, prints "ready", and obeys lines on standard
 *                       input until that ends: "again" copies what is left and frees the old
 *                       copy, "done" is the answer
 *
 * A thread on the first node fills what it has.  One on the last node allocates much more,
 * of PLANTED_SIZE bytes, and frees all but one object in PLANTED_KEPT.  That is to be found.
 */
#include <fcntl.h>
#include <nearheap.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLANTED_SIZE  640
#define PLANTED_COUNT 218000 /* little is left then of what the heap takes last */
#define PLANTED_KEPT  50
#define TIDY_COUNT    60000
#define LINE_ROOM     64

static char *planted[PLANTED_COUNT / PLANTED_KEPT];
static char *tidy[TIDY_COUNT];

static void __attribute__((noreturn)) fail(const char *what)
{
    fprintf(stderr, "fragmented: %s\n", what);
    exit(EXIT_FAILURE);
}

static char *filled(size_t size, size_t number)
{
    char *object = malloc(size);
    if (object == NULL)
        fail("no memory");
    memset(object, (int)(number % 251), size);
    return object;
}

static void check(const char *object, size_t size, size_t number)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)object[i] != number % 251)
            fail("an object is not what it was");
}

static void *keep_tidy(void *arg)
{
    static const size_t sizes[] = {32, 200, 1000};
    if (nh_set_thread_node(*(int *)arg) != 0)
        fail("there is no such node");
    for (size_t i = 0; i < TIDY_COUNT; i++)
        tidy[i] = filled(sizes[i % (sizeof sizes / sizeof sizes[0])], i);
    return NULL;
}

static void *scatter(void *arg)
{
    if (nh_set_thread_node(*(int *)arg) != 0)
        fail("there is no such node");
    char **all = malloc(PLANTED_COUNT * sizeof *all);
    if (all == NULL)
        fail("no memory");
    for (size_t i = 0; i < PLANTED_COUNT; i++)
        all[i] = filled(PLANTED_SIZE, i / PLANTED_KEPT);
    for (size_t i = 0; i < PLANTED_COUNT; i++)
        if (i % PLANTED_KEPT == 0)
            planted[i / PLANTED_KEPT] = all[i];
        else
            free(all[i]);
    free(all);
    return NULL;
}

/* As a database rewrites a table: all is copied, then the old copy is dropped. */
static void *allocate_again(void *arg)
{
    static char *copies[PLANTED_COUNT / PLANTED_KEPT];
    if (nh_set_thread_node(*(int *)arg) != 0)
        fail("there is no such node");
    for (size_t i = 0; i < PLANTED_COUNT / PLANTED_KEPT; i++)
        copies[i] = filled(PLANTED_SIZE, i);
    for (size_t i = 0; i < PLANTED_COUNT / PLANTED_KEPT; i++) {
        check(planted[i], PLANTED_SIZE, i);
        free(planted[i]);
        planted[i] = copies[i];
    }
    return NULL;
}

static void in_thread(void *(*work)(void *), int node)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, &node) != 0 || pthread_join(thread, NULL) != 0)
        fail("no thread");
}

static int write_dump(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || nh_dump(fd) != 0)
        fail("no dump");
    return close(fd) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    int last = nh_node_count() - 1;
    in_thread(keep_tidy, 0);
    in_thread(scatter, last);
    if (argc > 1)
        return write_dump(argv[1]);
    puts("ready");
    fflush(stdout);
    char line[LINE_ROOM];
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (strcmp(line, "again\n") == 0)
            in_thread(allocate_again, last);
        puts("done");
        fflush(stdout);
    }
    return EXIT_SUCCESS;
}
