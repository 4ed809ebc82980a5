/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * early_late.c - malloc before every constructor, and free after every exit
 * handler.  Objects of each stage live until the last one.
 *
 * The stages, in the order in which they come:
 *   .preinit_array of the program, before the constructors of its libraries
 *   the constructor of early_late_library.c, with the highest priority
 *   constructors of the program, main, exit handlers, destructors
 *   the destructor of early_late_library.c
 */
#include "check.h"
#include "nearheap.h"

/* Weak, so that the same program runs with glibc alone; then it asks nothing. */
#pragma weak nh_node_of

enum stage { PREINIT, FIRST, CONSTRUCTOR, IN_MAIN, HANDLER, STAGES };
#define OBJECTS 64

static void *objects[STAGES][OBJECTS];

static size_t size_of(int stage, int i)
{
    return (size_t)(1 + (stage + 1) * i * i * 11); /* to 200 KiB */
}

static void allocate(enum stage stage)
{
    for (int i = 0; i < OBJECTS; i++) {
        objects[stage][i] = filled(size_of((int)stage, i));
        CHECK(nh_node_of == NULL || nh_node_of(objects[stage][i]) >= 0);
    }
}

/* Odd objects of a stage go early, even ones last. */
static void release(enum stage stage, int parity)
{
    for (int i = parity; i < OBJECTS; i += 2)
        verify_free(objects[stage][i], size_of((int)stage, i));
}

static void preinit(void)
{
    allocate(PREINIT);
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit_entry)(void) = preinit;

__attribute__((constructor(101))) static void first(void)
{
    release(PREINIT, 1);
    allocate(FIRST);
}

__attribute__((constructor)) static void constructor(void)
{
    release(FIRST, 1);
    allocate(CONSTRUCTOR);
}

static void handler(void)
{
    release(IN_MAIN, 1);
    allocate(HANDLER);
}

__attribute__((destructor(101))) static void last(void)
{
    release(HANDLER, 1);
    for (int stage = 0; stage < STAGES; stage++)
        release((enum stage)stage, 0);
    free(filled(3000000));
}

int early_late_library_works(void);

int main(void)
{
    release(CONSTRUCTOR, 1);
    allocate(IN_MAIN);
    CHECK(atexit(handler) == 0);
    CHECK(early_late_library_works());
    return 0;
}
