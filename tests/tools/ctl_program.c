/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * ctl_program.c - a program whose heap is told from outside what to do, and which obeys lines
 * on standard input, so that the effect shows.  To each line the answer is one line:
 *
 *   ready        it began
 *   cycle        allocates and frees many small objects
 *   hold BYTES   allocates them on the last node, and touches them
 *   drop         frees those
 *   large        allocates 2 MiB and frees them: "interleaved" or the node
 *   aligned      the same of few bytes at a large alignment
 *   map          allocates 64 MiB, which are not freed: their address
 *   bad          frees what malloc did not return
 *   fork         the child's number; from then on the child obeys, until "end", and then
 *                the parent again
 *   close        closes all descriptors but the first three, as daemons do
 *   end
 */
#include "family.h"

#include <errno.h>
#include <inttypes.h>
#include <nearheap.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CYCLE_COUNT 4000
#define CYCLE_SIZE  640
#define HOLD_PIECE  ((size_t)128 << 10)
#define HOLD_MOST   4096
#define LARGE       ((size_t)2 << 20)
#define ALIGNED     ((size_t)5000)
#define ALIGNED_TO  ((size_t)64 << 10)
#define MAPPED      ((size_t)64 << 20)
#define DESCRIPTORS 1024
#define LINE_ROOM   64
#define FIRST_OTHER 3

static char *held[HOLD_MOST];
static size_t held_count;

static void say(const char *what)
{
    puts(what);
    fflush(stdout);
}

static void cycle(void)
{
    static void *objects[CYCLE_COUNT];
    for (size_t i = 0; i < CYCLE_COUNT; i++)
        objects[i] = malloc(CYCLE_SIZE);
    for (size_t i = 0; i < CYCLE_COUNT; i++)
        free(objects[i]);
    say("done");
}

static void hold(size_t bytes)
{
    int last = nh_node_count() - 1;
    for (; bytes >= HOLD_PIECE && held_count < HOLD_MOST; bytes -= HOLD_PIECE) {
        char *piece = nh_malloc_on_node(HOLD_PIECE, last);
        if (piece == NULL)
            break;
        memset(piece, 1, HOLD_PIECE);
        held[held_count++] = piece;
    }
    say(bytes < HOLD_PIECE ? "done" : "no memory");
}

static void drop(void)
{
    while (held_count > 0)
        free(held[--held_count]);
    say("done");
}

static void tell_node(void *object)
{
    errno = 0;
    int node = nh_node_of(object);
    printf(node < 0 && errno == ENODATA ? "interleaved\n" : "%d\n", node);
    fflush(stdout);
    free(object);
}

static void large(void)
{
    tell_node(malloc(LARGE));
}

static void aligned(void)
{
    tell_node(aligned_alloc(ALIGNED_TO, ALIGNED));
}

static void map(void)
{
    printf("%" PRIxPTR "\n", (uintptr_t)malloc(MAPPED));
    fflush(stdout);
}

static void bad(void)
{
    static char not_malloced[CYCLE_SIZE];
    char *volatile pointer = not_malloced; /* which the compiler need not know */
    free(pointer);
    say("done");
}

static void fork_child(void)
{
    pid_t child = fork();
    if (child == 0) {
        printf("%ld\n", (long)getpid());
        fflush(stdout);
        return;
    }
    int status = 0;
    (void)waitpid(child, &status, 0);
    say("done");
}

static void close_others(void)
{
    for (int fd = FIRST_OTHER; fd < DESCRIPTORS; fd++)
        syscall(SYS_close, fd); /* ThreadSanitizer takes the other for a race, as it is */
    say("done");
}

int main(void)
{
    static const struct {
        const char *word;
        void (*run)(void);
    } orders[] = {
        {"cycle\n", cycle},     {"drop\n", drop}, {"large\n", large},     {"map\n", map},
        {"aligned\n", aligned}, {"bad\n", bad},   {"fork\n", fork_child}, {"close\n", close_others},
    };
    char line[LINE_ROOM];
    /* One byte at a time is read, so that what follows is a child's, if there is one. */
    setvbuf(stdin, NULL, _IONBF, 0);
    say("ready");
    while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "end\n") != 0) {
        if (strncmp(line, "hold ", 5) == 0)
            hold(strtoul(line + 5, NULL, 10));
        for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
            if (strcmp(line, orders[i].word) == 0)
                orders[i].run();
    }
    return EXIT_SUCCESS;
}
