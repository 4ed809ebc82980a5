/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * fork_sweep.c - forks while other threads give memory back to the system: the children, whose
 * threads get those threads' stacks, allocate and give back as well.
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

#define FORKS         24
#define SWEEPERS      2
#define OBJECTS       1200
#define OBJECT_BYTES  ((size_t)128 << 10)
#define CHILD_OBJECTS 64
#define CHILD_THREADS 4
#define CHILD_ROUNDS  10
#define CHILD_SECONDS 60
#define SCRIBBLED     ((size_t)200 << 10)

/* Of each object so much is filled: what counts is that its pages come and go. */
#define FILLED ((size_t)4 << 10)

static atomic_bool over;
static pthread_barrier_t begun;

static void *some(size_t size)
{
    void *object = malloc(size);
    CHECK(object != NULL);
    fill(object, FILLED);
    return object;
}

static void some_free(void *object)
{
    verify(object, FILLED);
    free(object);
}

/* Every other object goes and comes: spans that do not join. */
static void *sweep(void *arg)
{
    void **objects = calloc(OBJECTS, sizeof *objects);
    CHECK(objects != NULL);
    for (size_t i = 0; i < OBJECTS; i++)
        objects[i] = some(OBJECT_BYTES);
    pthread_barrier_wait(&begun);
    while (!over) {
        for (size_t i = 0; i < OBJECTS; i += 2)
            some_free(objects[i]);
        malloc_trim(0);
        for (size_t i = 0; i < OBJECTS; i += 2)
            objects[i] = some(OBJECT_BYTES);
    }
    for (size_t i = 0; i < OBJECTS; i++)
        some_free(objects[i]);
    free(objects);
    return arg;
}

/* Writes over the stack that it got, and stays. */
static void *scribble(void *arg)
{
    volatile char stack[SCRIBBLED];
    for (size_t i = 0; i < sizeof stack; i++)
        stack[i] = 'A';
    pthread_barrier_wait(arg);
    pause();
    return NULL;
}

static void child(void)
{
    static pthread_barrier_t scribbled;
    alarm(CHILD_SECONDS);
    CHECK(pthread_barrier_init(&scribbled, NULL, CHILD_THREADS + 1) == 0);
    for (int i = 0; i < CHILD_THREADS; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, scribble, &scribbled) == 0);
    }
    pthread_barrier_wait(&scribbled);
    for (int round = 0; round < CHILD_ROUNDS; round++) {
        void *objects[CHILD_OBJECTS];
        for (size_t i = 0; i < CHILD_OBJECTS; i++)
            objects[i] = some(OBJECT_BYTES + i * 8192);
        for (size_t i = 0; i < CHILD_OBJECTS; i++)
            some_free(objects[i]);
        malloc_trim(0);
    }
    _exit(0);
}

int main(void)
{
    pthread_t threads[SWEEPERS];
    CHECK(pthread_barrier_init(&begun, NULL, SWEEPERS + 1) == 0);
    for (int i = 0; i < SWEEPERS; i++)
        CHECK(pthread_create(&threads[i], NULL, sweep, NULL) == 0);
    pthread_barrier_wait(&begun);
    const int forks = part_of(FORKS);
    for (int i = 0; i < forks; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
            child();
        int status;
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    }
    over = true;
    for (int i = 0; i < SWEEPERS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    printf("%d children, whole heaps\n", forks);
    return 0;
}
