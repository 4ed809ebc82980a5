/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Frees pointers into small objects, and so many whole ones after them that the bad ones leave
 * the thread unseen: they are found when malloc_trim takes apart what is shared.  The handler
 * of SIGABRT uses all of malloc, and forks.
 */
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define BAD     20
#define OBJECTS 2000
#define BYTES   64

static void use_malloc(void)
{
    for (size_t size = 1; size < 10000000; size *= 3)
        free(malloc(size));
    malloc_trim(0);
}

static void on_abort(int number)
{
    (void)number;
    use_malloc();
    pid_t child = fork();
    if (child == 0) {
        use_malloc();
        _exit(0);
    }
    int status;
    if (waitpid(child, &status, 0) != child || status != 0)
        _exit(1);
}

int main(void)
{
    static char *object[OBJECTS];
    signal(SIGABRT, on_abort);
    for (int i = 0; i < OBJECTS; i++)
        object[i] = malloc(BYTES);
    for (int i = 0; i < BAD; i++)
        free(object[i] + BYTES / 4);
    for (int i = BAD; i < OBJECTS; i++)
        free(object[i]);
    malloc_trim(0);
    return 0;
}
