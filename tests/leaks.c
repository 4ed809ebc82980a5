/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * leaks.c - ends with a known number of objects held, of sizes that nobody else in the
 * process uses, and with others in its threads' caches.  leaks.sh reads the report.
 */
#include "family.h"

#include "nearheap.h"

#include <pthread.h>

#define HELD_SIZE   4600
#define HELD        7
#define CACHED_SIZE 9300
#define LARGE_SIZE  1000000

static void *keep[HELD + 2];

static void *caches(void *arg)
{
    pthread_barrier_t *barrier = arg;
    void *object[3];
    for (int i = 0; i < 3; i++)
        object[i] = malloc(CACHED_SIZE);
    for (int i = 0; i < 3; i++)
        free(object[i]);
    keep[0] = malloc(HELD_SIZE);
    pthread_barrier_wait(barrier);
    pthread_barrier_wait(barrier); /* which never comes: the process ends */
    return NULL;
}

int main(void)
{
    static pthread_barrier_t barrier;
    pthread_t thread;
    if (pthread_barrier_init(&barrier, NULL, 2) != 0 ||
        pthread_create(&thread, NULL, caches, &barrier) != 0)
        return 1;
    pthread_barrier_wait(&barrier);
    for (int i = 1; i < HELD; i++)
        keep[i] = malloc(HELD_SIZE);
    for (int i = 0; i < 5; i++)
        free(malloc(CACHED_SIZE));
    keep[HELD] = malloc(LARGE_SIZE);
    keep[HELD + 1] = nh_pages_alloc(2, -1);
    return 0;
}
