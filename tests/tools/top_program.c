/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * top_program.c - what nearheap-top looks at in top_test.py.  Says "ready" on standard
 * output when what its argument names is done, and ends when standard input does:
 *   hold    allocates objects of several classes, and frees some from other threads
 *   spread  allocates SPREAD_BYTES on each of the first CPUs, by a thread bound to it
 *   fork    forks first; both are ready, the child with its number
 *   daemon  closes all descriptors but those two, as daemons do
 *   exits   its threads end by pthread_exit, and there is no other end
 *   execs   waits for a line, and becomes what the next argument with its number begins: hold
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OBJECTS       20000
#define LARGE         3000000
#define DESCRIPTORS   1024
#define OTHERS        3
#define KEPT_ONE_IN   4
#define LARGEST_STEP  16
#define STEPS         100
#define SPREAD_CPUS   4
#define SPREAD_OBJECT 4096
#define SPREAD_BYTES  4000000
#define PATH_ROOM     256

static void *objects[OBJECTS];

/* Of what the first thread allocated. */
static void *free_some(void *first)
{
    for (size_t i = *(const size_t *)first; i < OBJECTS; i += KEPT_ONE_IN)
        free(objects[i]);
    return NULL;
}

static void hold(void)
{
    pthread_t threads[OTHERS];
    size_t first[OTHERS];
    for (size_t i = 0; i < OBJECTS; i++)
        objects[i] = malloc(1 + i % STEPS * LARGEST_STEP);
    memset(malloc(LARGE), 1, LARGE);
    for (size_t i = 0; i < OTHERS; i++) {
        first[i] = i;
        if (pthread_create(&threads[i], NULL, free_some, &first[i]) != 0)
            abort();
    }
    for (size_t i = 0; i < OTHERS; i++)
        pthread_join(threads[i], NULL);
}

static void *allocate_on(void *number)
{
    cpu_set_t cpu;
    CPU_ZERO(&cpu);
    CPU_SET(*(const size_t *)number, &cpu);
    if (pthread_setaffinity_np(pthread_self(), sizeof cpu, &cpu) != 0)
        abort();
    for (size_t bytes = 0; bytes < SPREAD_BYTES; bytes += SPREAD_OBJECT)
        memset(malloc(SPREAD_OBJECT), 1, SPREAD_OBJECT);
    return NULL;
}

static void spread(void)
{
    for (size_t i = 0; i < SPREAD_CPUS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, allocate_on, &i) != 0)
            abort();
        pthread_join(thread, NULL);
    }
}

/* Without the buffers of stdio, which would be objects. */
static void say(const char *text)
{
    if (write(STDOUT_FILENO, text, strlen(text)) < 0)
        abort();
}

static void wait_for_end(void)
{
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
}

static void *end_alone(void *arg)
{
    wait_for_end();
    return arg;
}

static void become_another(const char *prefix)
{
    char byte, path[PATH_ROOM];
    snprintf(path, sizeof path, "%s%ld", prefix, (long)getpid());
    say("ready\n");
    if (read(STDIN_FILENO, &byte, 1) == 1)
        execl(path, path, "hold", (char *)NULL);
    abort();
}

int main(int argc, char **argv)
{
    const char *mode = argc >= 2 ? argv[1] : "";
    char line[64];
    if (strcmp(mode, "hold") == 0) {
        hold();
    } else if (strcmp(mode, "spread") == 0) {
        spread();
    } else if (strcmp(mode, "daemon") == 0) {
        for (int fd = STDERR_FILENO; fd < DESCRIPTORS; fd++)
            close(fd);
    } else if (strcmp(mode, "fork") == 0) {
        pid_t child = fork();
        if (child == 0) {
            wait_for_end();
            exit(0);
        }
        snprintf(line, sizeof line, "child %ld\n", (long)child);
        say(line);
    } else if (strcmp(mode, "execs") == 0 && argc == 3) {
        become_another(argv[2]);
    } else if (strcmp(mode, "exits") == 0) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, end_alone, NULL) != 0)
            abort();
        say("ready\n");
        pthread_exit(NULL);
    } else {
        return 2;
    }
    say("ready\n");
    wait_for_end();
    if (strcmp(mode, "fork") == 0)
        wait(NULL);
    return 0;
}
