/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * wrong.c MODE - uses an object between guard pages wrongly, with NEARHEAP_GUARD=1, which gives
 * nearly every object such pages.  wrong.py knows what must be said of it.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE 100 /* of a class of 112 bytes, so guarded objects are known by their size */
#define PAGE 4096
#define MOST 1000

/* Has a frame of its own. */
#ifdef __clang__
#define FUNCTION __attribute__((noinline)) static
#else
#define FUNCTION __attribute__((noinline, noclone)) static
#endif

static char *volatile object;

FUNCTION char *make(void)
{
    char *made = malloc(SIZE);
    object = made; /* so that this is no tail call */
    return made;
}

/* With guard pages right behind the object, or before it. */
FUNCTION void make_at(bool end)
{
    for (int i = 0; i < MOST; i++) {
        char *made = make();
        uintptr_t at = (uintptr_t)made;
        bool at_end = (at + (SIZE + 15) / 16 * 16) % PAGE == 0;
        if (malloc_usable_size(made) == SIZE && (end ? at_end : at % PAGE == 0))
            return;
        free(made);
    }
    puts("no such object");
    exit(1);
}

FUNCTION void write_to(char *at)
{
    *(volatile char *)at = 1;
}

FUNCTION int read_from(const char *at)
{
    return *(const volatile char *)at;
}

FUNCTION void drop(void)
{
    free(object);
    object = object + 0;
}

static void *drop_in_thread(void *arg)
{
    drop();
    return arg;
}

static void drop_elsewhere(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, drop_in_thread, NULL);
    pthread_join(thread, NULL);
}

static void overflow_write(void)
{
    make_at(true);
    write_to(object + 112);
}

static void overflow_read(void)
{
    make_at(true);
    read_from(object + 200);
}

static void underflow_write(void)
{
    make_at(false);
    write_to(object - 1);
}

static void underflow_read(void)
{
    make_at(false);
    read_from(object - 50);
}

static void freed_read(void)
{
    make_at(true);
    drop();
    read_from(object + 24);
}

static void freed_write_behind(void)
{
    make_at(true);
    drop_elsewhere();
    write_to(object + 112);
}

static void freed_twice(void)
{
    make_at(true);
    drop_elsewhere();
    drop();
}

static void freed_inside(void)
{
    make_at(true);
    object += 16;
    drop();
}

static void freed_beside(void)
{
    make_at(false);
    object -= 16;
    drop();
}

static void realloc_freed(void)
{
    make_at(false);
    drop();
    object = realloc(object, 200);
}

/* To a size with which it could stay where it is. */
static void realloc_inside(void)
{
    make_at(true);
    object = realloc(object + 1, SIZE - 2);
}

static void jump(void)
{
    make_at(true);
    drop();
    union {
        char *data;
        void (*code)(void);
    } to = {object};
    to.code();
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {{"overflow_write", overflow_write},   {"overflow_read", overflow_read},
                 {"underflow_write", underflow_write}, {"underflow_read", underflow_read},
                 {"freed_read", freed_read},           {"freed_write_behind", freed_write_behind},
                 {"freed_twice", freed_twice},         {"freed_inside", freed_inside},
                 {"freed_beside", freed_beside},       {"realloc_freed", realloc_freed},
                 {"realloc_inside", realloc_inside},   {"jump", jump}};
    for (size_t i = 0; argc == 2 && i < sizeof modes / sizeof *modes; i++)
        if (strcmp(argv[1], modes[i].name) == 0) {
            modes[i].run();
            return 0;
        }
    return 1;
}
