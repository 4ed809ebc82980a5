/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * light_load.c - a server that had much, freed it, and since has little to do: what its
 * few calls want is in caches, so that nothing is refilled; its memory must go back to
 * the system all the same.  Run with a short NEARHEAP_DECAY.
 *
 *     light_load malloc_usable_size|realloc|posix_memalign
 *
 * The argument is the call that it makes beside malloc and free.
 */
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OBJECTS      200000
#define SIZE         400
#define LIGHT_SIZE   100
#define ALIGNMENT    64
#define SECONDS_MOST 60 /* by then it would have, on the slowest machine */
#define LEFT_PART    10 /* one in so many pages may stay */
#define STATM_ROOM   256

static void *objects[OBJECTS];

static long resident_pages(void)
{
    char text[STATM_ROOM] = "";
    int file = open("/proc/self/statm", O_RDONLY);
    if (file < 0 || read(file, text, sizeof text - 1) <= 0)
        exit(2);
    close(file);
    return strtol(strchr(text, ' '), NULL, 10);
}

/* One request: a malloc and a free, and the call of this run in between. */
static void serve(const char *call)
{
    void *volatile object = malloc(LIGHT_SIZE);
    if (strcmp(call, "realloc") == 0)
        object = realloc(object, LIGHT_SIZE - 1);
    else if (strcmp(call, "malloc_usable_size") == 0 && malloc_usable_size(object) < LIGHT_SIZE)
        exit(2);
    free(object);
    if (strcmp(call, "posix_memalign") == 0) {
        void *aligned;
        if (posix_memalign(&aligned, ALIGNMENT, LIGHT_SIZE) != 0)
            exit(2);
        free(aligned);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    /* All is of one node, whose heap is that of the few calls later, too. */
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET((size_t)sched_getcpu(), &here);
    if (sched_setaffinity(0, sizeof here, &here) != 0)
        return 2;
    long before = resident_pages();
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = malloc(SIZE);
        if (objects[i] == NULL)
            return 2;
        memset(objects[i], 1, SIZE);
    }
    long most = resident_pages() - before;
    for (size_t i = 0; i < OBJECTS; i++)
        free(objects[i]);
    time_t end = time(NULL) + SECONDS_MOST;
    long left;
    do {
        serve(argv[1]);
        left = resident_pages() - before;
    } while (left > most / LEFT_PART && time(NULL) < end);
    printf("%ld of %ld pages are left\n", left, most);
    return left > most / LEFT_PART;
}
