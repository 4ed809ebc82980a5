/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * locked.c - a program whose memory is locked, so that the system takes none of it back, hardened
 * and with guard pages about some of its objects: all that malloc returns is zero.
 */
#include "../../bench/random.h"
#include "family.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define OBJECTS   2000
#define ROUNDS    20000
#define SMALL     6000
#define LARGE     50000
#define ALIGNMENT 65536
#define SKIPPED   77

static uint64_t random_state = 88172645463325252;

static size_t below(size_t n)
{
    return random_below(&random_state, n);
}

static void check_zero(const unsigned char *object, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (object[i] != 0) {
            fprintf(stderr, "locked: byte %zu of %zu is %#x\n", i, size, object[i]);
            abort();
        }
}

int main(void)
{
    static unsigned char *objects[OBJECTS];
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        puts("locked: the system lets us lock no memory");
        return SKIPPED;
    }
    for (size_t i = 0; i < ROUNDS; i++) {
        size_t which = below(OBJECTS), size = 1 + below(SMALL);
        bool large = i % 16 == 0;
        if (large)
            size += LARGE;
        free(objects[which]);
        objects[which] = large ? memalign(ALIGNMENT, size) : malloc(size);
        if (objects[which] == NULL)
            abort();
        check_zero(objects[which], size);
        memset(objects[which], 0x5a, size);
    }
    for (size_t i = 0; i < OBJECTS; i++)
        free(objects[i]);
    return 0;
}
