/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * crossnode.c - a server of two threads, for crossnode.sh: one reads requests, into memory
 * that it allocates, the other answers and frees them.
 *
 * usage: crossnode READER-CPU WORKER-CPU
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUESTS 20000
#define SLOTS    64

struct request {
    unsigned number;
    char text[1000];
};

static struct request *_Atomic slots[SLOTS];
static int reader_cpu, worker_cpu;

static void run_on(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        perror("crossnode: sched_setaffinity");
        exit(1);
    }
}

struct request *read_request(unsigned number)
{
    struct request *request = malloc(sizeof *request);
    if (request == NULL)
        abort();
    request->number = number;
    memset(request->text, 'r', sizeof request->text);
    return request;
}

static void *reader(void *arg)
{
    run_on(reader_cpu);
    for (unsigned i = 0; i < REQUESTS; i++) {
        struct request *request = read_request(i);
        while (atomic_load(&slots[i % SLOTS]) != NULL)
            sched_yield();
        atomic_store(&slots[i % SLOTS], request);
    }
    return arg;
}

static void *worker(void *arg)
{
    run_on(worker_cpu);
    for (unsigned i = 0; i < REQUESTS; i++) {
        struct request *request;
        while ((request = atomic_exchange(&slots[i % SLOTS], NULL)) == NULL)
            sched_yield();
        if (request->number != i)
            abort();
        free(request);
    }
    return arg;
}

int main(int argc, char **argv)
{
    pthread_t threads[2];
    if (argc != 3)
        return 2;
    reader_cpu = atoi(argv[1]);
    worker_cpu = atoi(argv[2]);
    if (pthread_create(&threads[0], NULL, reader, NULL) != 0 ||
        pthread_create(&threads[1], NULL, worker, NULL) != 0)
        return 1;
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    return 0;
}
