/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * limited.c - memory runs out (RLIMIT_AS): malloc returns NULL with ENOMEM,
 * and works again once some is freed.  Small and large objects, and threads.
 */
#include "family.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define LIMIT ((rlim_t)400 << 20)

struct link {
    struct link *next;
    size_t size;
};

static size_t exhaust(size_t size)
{
    struct link *first = NULL;
    size_t count = 0;
    for (;;) {
        errno = 0;
        struct link *link = malloc(size);
        if (link == NULL)
            break;
        memset(link, 0x11, size < 4096 ? size : 4096);
        link->next = first;
        link->size = size;
        first = link;
        count++;
    }
    int error = errno;
    if (error != ENOMEM) {
        fprintf(stderr, "limited: errno is %d, not ENOMEM\n", error);
        exit(1);
    }
    while (first != NULL) {
        struct link *next = first->next;
        if (first->size != size)
            abort();
        free(first);
        first = next;
    }
    return count;
}

static void *in_thread(void *arg)
{
    return (void *)(uintptr_t)exhaust((size_t)(uintptr_t)arg);
}

int main(void)
{
    struct rlimit limit = {.rlim_cur = LIMIT, .rlim_max = LIMIT};
    if (setrlimit(RLIMIT_AS, &limit) != 0)
        return 77;
    size_t sizes[] = {64, 5000000, 1000, 100000, 16, 30000, 70000, 64};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        size_t got = exhaust(sizes[i]);
        printf("limited: %zu objects of %zu bytes, %zu MiB\n", got, sizes[i], got * sizes[i] >> 20);
        /* What was freed in one size must serve the next: at least a quarter
         * of the limit, each time. */
        if (got * sizes[i] < LIMIT / 4) {
            fputs("limited: too little of what was freed came back\n", stderr);
            return 1;
        }
    }
    pthread_t threads[4];
    int begun = 0;
    for (; begun < 4; begun++)
        if (pthread_create(&threads[begun], NULL, in_thread, (void *)(uintptr_t)1000) != 0)
            break;
    for (int i = 0; i < begun; i++)
        pthread_join(threads[i], NULL);
    puts("limited: passed");
    return 0;
}
