/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * early_late.c - allocation before the first constructor and after the last
 * exit handler; objects from each end freed at the other.
 */
#include "family.h"
#include "nearheap.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char *early, *constructed;

static void check(char *p, char c)
{
    for (int i = 0; i < 1000; i++)
        if (p[i] != c) {
            static const char text[] = "early_late: contents changed\n";
            (void)!write(2, text, sizeof(text) - 1);
            _exit(1);
        }
}

static void before_constructors(int argc, char **argv, char **env)
{
    (void)argc, (void)argv, (void)env;
    early = memset(malloc(1000), 'e', 1000);
    free(malloc(100000));
}
__attribute__((section(".preinit_array"),
               used)) static void (*preinit)(int, char **, char **) = before_constructors;

__attribute__((constructor(101))) static void first_constructor(void)
{
    constructed = memset(malloc(1000), 'c', 1000);
}

__attribute__((destructor(101))) static void last_destructor(void)
{
    char *late = memset(malloc(1000), 'l', 1000);
    check(early, 'e');
    check(constructed, 'c');
    check(late, 'l');
    free(early);
    free(constructed);
    free(late);
}

static void at_exit(void)
{
    free(memset(malloc(50000), 1, 50000));
}

int main(void)
{
    atexit(at_exit);
    check(early, 'e');
    if (nh_node_of(early) < 0 || nh_node_of(constructed) < 0) {
        fputs("early_late: not from nearheap\n", stderr);
        return 1;
    }
    puts("early_late: passed");
    return 0;
}
