/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * fork_streams.c - one thread forks, some read lines into buffers that grow, one flushes all
 * streams: nobody waits for ever (glibc's bug 19431), and children may use streams, with threads
 * or without.
 */
#include "check.h"
#include "part.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORKS         400
#define READERS       3
#define LINE_BYTES    200000
#define CHILD_SECONDS 60

static char text[LINE_BYTES];
static atomic_bool over;

static void *flush_all(void *arg)
{
    while (!over)
        CHECK(fflush(NULL) == 0);
    return arg;
}

static void read_line(void)
{
    char *line = NULL;
    size_t room = 0;
    FILE *stream = fmemopen(text, sizeof text - 1, "r");
    CHECK(stream != NULL);
    CHECK(getline(&line, &room, stream) == LINE_BYTES - 1);
    CHECK(fclose(stream) == 0);
    free(line);
}

static void *read_lines(void *arg)
{
    while (!over)
        read_line();
    return arg;
}

static void *read_once(void *arg)
{
    read_line();
    return arg;
}

static void fork_and_read(void)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        pthread_t thread;
        alarm(CHILD_SECONDS);
        read_line();
        CHECK(pthread_create(&thread, NULL, read_once, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK(fflush(NULL) == 0);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
    memset(text, 'x', sizeof text - 1);
    fork_and_read(); /* of one thread */
    read_line();
    pthread_t threads[READERS + 1];
    for (int i = 0; i <= READERS; i++)
        CHECK(pthread_create(&threads[i], NULL, i == 0 ? flush_all : read_lines, NULL) == 0);
    const int forks = part_of(FORKS);
    for (int i = 0; i < forks; i++)
        fork_and_read();
    over = true;
    for (int i = 0; i <= READERS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    printf("%d forks beside streams, no wait without end\n", forks);
    return 0;
}
