/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * fork.c - forks while other threads allocate; each child allocates, frees
 * what the parent had, starts a thread, and verifies what it inherited.
 */
#include "family.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4
#define FORKS   100
#define OBJECTS 2000

static _Atomic bool stop;
static _Atomic unsigned char *_Atomic shared[256];

static size_t size_of(unsigned i)
{
    return i % 50 == 0 ? 100000 + i : 16 + i % 900;
}

static void *churn(void *arg)
{
    uint64_t x = (uint64_t)(uintptr_t)arg + 88172645463325252u;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        size_t size = size_of((unsigned)(x >> 20) % 5000);
        unsigned char *p = malloc(size);
        if (p == NULL)
            abort();
        memset(p, (int)(x & 0xff), size);
        free((void *)atomic_exchange(&shared[x % 256], (_Atomic unsigned char *)p));
    }
    return NULL;
}

static void fill(unsigned char **objects)
{
    for (unsigned i = 0; i < OBJECTS; i++) {
        objects[i] = malloc(size_of(i));
        if (objects[i] == NULL)
            abort();
        memset(objects[i], (int)(i & 0xff), size_of(i));
    }
}

static void verify_and_free(unsigned char **objects)
{
    for (unsigned i = 0; i < OBJECTS; i++) {
        for (size_t k = 0; k < size_of(i); k++)
            if (objects[i][k] != (i & 0xff)) {
                fprintf(stderr, "fork: object %u changed at %zu\n", i, k);
                abort();
            }
        free(objects[i]);
    }
}

static void *childs_thread(void *arg)
{
    unsigned char *objects[OBJECTS];
    (void)arg;
    fill(objects);
    verify_and_free(objects);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, churn, (void *)i) != 0)
            return 2;
    for (unsigned n = 0; n < FORKS; n++) {
        unsigned char *before[OBJECTS];
        fill(before);
        pid_t child = fork();
        if (child < 0)
            return 2;
        if (child == 0) {
            unsigned char *own[OBJECTS];
            fill(own);
            /* What the parent's other threads shared is ours to free, too. */
            for (size_t i = 0; i < 256; i++)
                free((void *)atomic_exchange(&shared[i], NULL));
            verify_and_free(before);
#ifndef __SANITIZE_THREAD__ /* which cannot start threads after such a fork */
            pthread_t thread;
            if (pthread_create(&thread, NULL, childs_thread, NULL) != 0)
                _exit(3);
            pthread_join(thread, NULL);
#else
            childs_thread(NULL);
#endif
            verify_and_free(own);
            if (n % 10 == 0 && fork() == 0) { /* grandchildren */
                fill(own);
                verify_and_free(own);
                _exit(0);
            }
            _exit(0);
        }
        verify_and_free(before);
        int status;
        if (waitpid(child, &status, 0) != child || status != 0) {
            fprintf(stderr, "fork: child %u ended with %x\n", n, (unsigned)status);
            return 1;
        }
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("fork: %d forks among %d threads, contents verified\n", FORKS, THREADS);
    return 0;
}
