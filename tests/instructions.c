/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * instructions.c - the loop whose instructions instructions.sh counts.
 *
 * usage: instructions SIZE LIVE REPETITIONS
 *
 * Allocates LIVE objects of SIZE bytes, frees them in the order in which they
 * were allocated, and does so REPETITIONS times.  Nothing else: the objects are
 * not touched, so that what is counted is malloc, free and the bare loop.
 */
#include <stdio.h>
#include <stdlib.h>

#define LIVE_MAX 4096

int main(int argc, char **argv)
{
    static void *objects[LIVE_MAX];
    if (argc != 4) {
        fputs("usage: instructions SIZE LIVE REPETITIONS\n", stderr);
        return 2;
    }
    size_t size = strtoul(argv[1], NULL, 10);
    size_t live = strtoul(argv[2], NULL, 10);
    size_t repetitions = strtoul(argv[3], NULL, 10);
    if (live > LIVE_MAX) {
        fprintf(stderr, "instructions: at most %d live objects\n", LIVE_MAX);
        return 2;
    }
    for (size_t r = 0; r < repetitions; r++) {
        for (size_t i = 0; i < live; i++)
            objects[i] = malloc(size);
        for (size_t i = 0; i < live; i++)
            free(objects[i]);
    }
    return 0;
}
