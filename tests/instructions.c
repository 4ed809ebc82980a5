/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * instructions.c - the loop whose instructions instructions.sh counts.
 *
 * usage: instructions CALLS SIZE LIVE REPETITIONS
 *
 * Allocates LIVE objects of SIZE bytes, frees them in the order in which they
 * were allocated, and does so REPETITIONS times.  Nothing else: the objects are
 * not touched, so that what is counted is malloc, free and the bare loop; or operator new
 * and sized delete, where CALLS is not malloc but new.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIVE_MAX 4096

/* As C++ programs call them; there is an allocator that has them, or the loader gives none. */
extern void *operator_new(size_t size) __asm__("_Znwm") __attribute__((weak));
extern void operator_delete_sized(void *ptr, size_t size) __asm__("_ZdlPvm") __attribute__((weak));

static void *objects[LIVE_MAX];

static void with_malloc(size_t size, size_t live, size_t repetitions)
{
    for (size_t r = 0; r < repetitions; r++) {
        for (size_t i = 0; i < live; i++)
            objects[i] = malloc(size);
        for (size_t i = 0; i < live; i++)
            free(objects[i]);
    }
}

static void with_new(size_t size, size_t live, size_t repetitions)
{
    for (size_t r = 0; r < repetitions; r++) {
        for (size_t i = 0; i < live; i++)
            objects[i] = operator_new(size);
        for (size_t i = 0; i < live; i++)
            operator_delete_sized(objects[i], size);
    }
}

int main(int argc, char **argv)
{
    bool is_new = argc == 5 && strcmp(argv[1], "new") == 0;
    if (!is_new && (argc != 5 || strcmp(argv[1], "malloc") != 0)) {
        fputs("usage: instructions malloc|new SIZE LIVE REPETITIONS\n", stderr);
        return 2;
    }
    size_t size = strtoul(argv[2], NULL, 10);
    size_t live = strtoul(argv[3], NULL, 10);
    size_t repetitions = strtoul(argv[4], NULL, 10);
    if (live > LIVE_MAX) {
        fprintf(stderr, "instructions: at most %d live objects\n", LIVE_MAX);
        return 2;
    }
    if (is_new && (operator_new == NULL || operator_delete_sized == NULL)) {
        fputs("instructions: the allocator has no operator new\n", stderr);
        return 1;
    }
    (is_new ? with_new : with_malloc)(size, live, repetitions);
    return 0;
}
