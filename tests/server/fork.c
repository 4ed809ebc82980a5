/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * fork.c - a process whose threads allocate all the time forks many children, from
 * several threads at once, each of which has several of them at a time; the children
 * check and free what the parent had, allocate, make a thread and a child of their own,
 * and end by exit, _exit or exec.
 *
 * A lock that some thread of the parent held at the fork would stop a child for
 * ever: an alarm ends it then, and the parent sees the signal.
 */
#include "check.h"
#include "part.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>

#define WORKERS      4
#define FORKERS_MOST 8
/* AddressSanitizer's own allocator, which pthread_create uses, stops in a child when another
 * thread is in it at the fork. */
#define FORKERS       (UNDER_ASAN ? 1 : UNDER_TSAN ? 3 : FORKERS_MOST)
#define CHILDREN      (UNDER_TSAN ? 40 : 200) /* of all forking threads */
#define AT_A_TIME     4                       /* children of each of them */
#define OBJECTS       256
#define CHILD_SECONDS 250 /* more than one takes in a guest that hardly gets a CPU */

struct objects {
    void *at[OBJECTS];
    size_t size[OBJECTS];
};

static _Atomic bool stop;
/* AddressSanitizer's own allocator is not fork's friend: threads have begun,
 * which it serves, before the first fork. */
static pthread_barrier_t begun;

static size_t pick_size(uint32_t *state)
{
    uint32_t kind = random_next32(state) % 64;
    uint32_t most = kind == 0 ? 1000000 : kind < 8 ? 40000 : 1500;
    return 1 + random_next32(state) % most;
}

/* Replaces `n` objects by others, now and then by realloc. */
static void churn(struct objects *objects, size_t n, uint32_t *state)
{
    for (size_t k = 0; k < n; k++) {
        size_t i = random_next32(state) % OBJECTS;
        size_t size = pick_size(state);
        if (objects->at[i] != NULL && random_next32(state) % 8 == 0) {
            uintptr_t was = (uintptr_t)objects->at[i];
            size_t had = objects->size[i];
            verify(objects->at[i], had);
            objects->at[i] = realloc(objects->at[i], size);
            CHECK(objects->at[i] != NULL);
            verify_part(objects->at[i], was, had, had < size ? had : size);
            fill(objects->at[i], size);
        } else {
            if (objects->at[i] != NULL)
                verify_free(objects->at[i], objects->size[i]);
            objects->at[i] = filled(size);
        }
        objects->size[i] = size;
    }
}

static void free_all(struct objects *objects)
{
    for (size_t i = 0; i < OBJECTS; i++)
        if (objects->at[i] != NULL) {
            verify_free(objects->at[i], objects->size[i]);
            objects->at[i] = NULL;
        }
}

static void *worker(void *arg)
{
    struct objects mine = {.at = {NULL}};
    uint32_t state = (uint32_t)(uintptr_t)arg;
    pthread_barrier_wait(&begun);
    while (!atomic_load_explicit(&stop, memory_order_relaxed))
        churn(&mine, 64, &state);
    free_all(&mine);
    return NULL;
}

static void *childs_thread(void *arg)
{
    struct objects *inherited = arg;
    uint32_t state = 99;
    churn(inherited, OBJECTS, &state);
    return NULL;
}

static void wait_for(pid_t child)
{
    int status;
    CHECK(child > 0);
    CHECK(waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status))
        fprintf(stderr, "child %ld ended by signal %d\n", (long)child, WTERMSIG(status));
    CHECK(!WIFSIGNALED(status));
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static _Noreturn void child(struct objects *inherited, int number)
{
    alarm(CHILD_SECONDS);
    uint32_t state = (uint32_t)number + 1;
    churn(inherited, OBJECTS, &state);
    /* ThreadSanitizer refuses threads in the child of a process with threads. */
    if (!UNDER_TSAN) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, childs_thread, inherited) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    if (number % 8 == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0) {
            alarm(CHILD_SECONDS);
            free_all(inherited);
            _exit(0);
        }
        wait_for(grandchild);
    }
    if (number % 16 == 0)
        malloc_trim(0);
    free_all(inherited);
    if (number % 4 == 1) {
        CHECK(execl("/proc/self/exe", "fork", "exec", (char *)NULL) == 0); /* it does not return */
    }
    if (number % 2 == 0)
        exit(0);
    _exit(0);
}

/* What a child becomes by exec: a process that begins. */
static int begin_anew(void)
{
    static struct objects objects;
    uint32_t state = 5;
    churn(&objects, OBJECTS, &state);
    free_all(&objects);
    return 0;
}

static void *forker(void *arg)
{
    struct objects mine = {.at = {NULL}};
    uint32_t state = (uint32_t)(uintptr_t)arg;
    pid_t alive[AT_A_TIME];
    const int children = CHILDREN / FORKERS;
    for (int number = 0; number < children; number++) {
        churn(&mine, 64, &state);
        pid_t pid = fork();
        if (pid == 0)
            child(&mine, number);
        if (number >= AT_A_TIME)
            wait_for(alive[number % AT_A_TIME]);
        alive[number % AT_A_TIME] = pid;
    }
    for (int i = 0; i < AT_A_TIME && i < children; i++)
        wait_for(alive[i]);
    free_all(&mine);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "exec") == 0)
        return begin_anew();
    pthread_t workers[WORKERS], others[FORKERS_MOST];
    int forkers = part_of(FORKERS); /* this thread is one */
    CHECK(pthread_barrier_init(&begun, NULL, WORKERS + 1) == 0);
    for (uintptr_t i = 0; i < WORKERS; i++)
        CHECK(pthread_create(&workers[i], NULL, worker, (void *)(i + 1)) == 0);
    pthread_barrier_wait(&begun);
    for (int i = 1; i < forkers; i++)
        CHECK(pthread_create(&others[i], NULL, forker, (void *)(uintptr_t)(1000 * i)) == 0);
    forker((void *)(uintptr_t)(1000 * FORKERS));
    for (int i = 1; i < forkers; i++)
        CHECK(pthread_join(others[i], NULL) == 0);
    CHECK(wait(NULL) == -1 && errno == ECHILD);
    atomic_store(&stop, true);
    for (int i = 0; i < WORKERS; i++)
        CHECK(pthread_join(workers[i], NULL) == 0);
    printf("fork: %d children\n", forkers * (CHILDREN / FORKERS));
    return 0;
}
