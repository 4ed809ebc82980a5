/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * fork_handlers.c - handlers of fork that were there before nearheap's run while it
 * holds all locks for the fork: they allocate sizes that nobody asked for before, on
 * both sides, and no lock is held or counted afterwards.
 */
#include "check.h"
#include "lock.h"
#include "size_class.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>

#define CHILD_SECONDS 60

static unsigned next_class = 1;

static void allocate(void)
{
    for (unsigned i = 0; i < 2 && next_class < NH_CLASSES; i++) {
        size_t size = size_class_bytes(next_class++);
        verify_free(filled(size), size);
    }
}

/* Before the library's constructor, and so before its handlers. */
__attribute__((constructor(101))) static void come_first(void)
{
    CHECK(pthread_atfork(allocate, allocate, allocate) == 0);
}

/* Every list, also those that the handlers began. */
static void use_all(void)
{
    for (unsigned cls = 1; cls < NH_CLASSES; cls++)
        verify_free(filled(size_class_bytes(cls)), size_class_bytes(cls));
}

int main(void)
{
    while (next_class < NH_CLASSES) {
        unsigned before = next_class;
        pid_t pid = fork();
        CHECK(pid >= 0);
        CHECK(next_class > before);
        CHECK(lock_depth == 0);
        if (pid == 0) {
            alarm(CHILD_SECONDS);
            use_all();
            _exit(0);
        }
        int status;
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK(status == 0);
    }
    use_all();
    return 0;
}
