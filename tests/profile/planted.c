/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * planted.c - a program whose heap profile is known, for files.py and crossnode.sh.
 *
 * usage: planted exit | signal | stack | storm | fork | alone | ending | beside FILE | within FILE
 * | calls FOLDER | crossnode
 *
 *   exit       keeps KEPT objects of one call site, frees those of another, and ends
 *   signal     has the profile written by SIGUSR2 while they live, frees all, and ends
 *              without exit
 *   stack      the same where signals have a stack of their own, of the usual size
 *   storm      the same signal comes all the time, in threads that allocate
 *   fork       a child frees all; both end
 *   alone      the first thread plants and ends; another one ends the process
 *   ending     the signal comes all the time, in another thread, while the process ends
 *   beside     another thread writes to FILE while the process ends; says "exiting" before
 *   within     a signal's handler that interrupts a write to FILE ends the process
 *   calls      nh_profile_start, write and stop
 *   crossnode  threads of one node free what those of another allocated at one call site,
 *              and their own at another
 */
#include "../server/check.h"
#include "nearheap.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define KEPT    1000
#define DROPPED 3000
#define SIZE    20000

/* The call sites by whose names the profile is read.  They do something with what they got,
 * so that the calls are no jumps, and not the same, so that they are not one function. */
#define SITE(name)                                                                                 \
    __attribute__((noinline)) static void name(void **to, size_t size)                             \
    {                                                                                              \
        *to = malloc(size);                                                                        \
        memset(*to, __LINE__, 1);                                                                  \
    }
SITE(planted_keep)
SITE(planted_drop)
SITE(planted_local)
SITE(planted_remote)

static void *kept[KEPT];

__attribute__((noinline)) static void plant(void)
{
    for (int i = 0; i < KEPT; i++)
        planted_keep(&kept[i], SIZE);
    for (int i = 0; i < DROPPED; i++) {
        void *object;
        planted_drop(&object, SIZE);
        free(object);
    }
}

static void drop_kept(void)
{
    for (int i = 0; i < KEPT; i++) {
        free(kept[i]);
        kept[i] = NULL;
    }
}

/* ---- stack ---- */

#define PAGE  ((size_t)4096)
#define PAINT 0xa5

static void raise_on_stack(void)
{
    size_t bytes = (size_t)SIGSTKSZ;
    size_t room = (bytes + PAGE - 1) / PAGE * PAGE + PAGE;
    unsigned char *low =
        mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(low != MAP_FAILED && mprotect(low, PAGE, PROT_NONE) == 0);
    memset(low + PAGE, PAINT, room - PAGE);
    stack_t stack = {.ss_sp = low + PAGE, .ss_size = bytes};
    CHECK(sigaltstack(&stack, NULL) == 0);
    CHECK(raise(SIGUSR2) == 0);
    stack.ss_flags = SS_DISABLE;
    CHECK(sigaltstack(&stack, NULL) == 0);
    size_t same = 0;
    while (same < bytes && low[PAGE + same] == PAINT)
        same++;
    CHECK(same < bytes); /* it was used */
}

/* ---- storm ---- */

static _Atomic bool stop;

static void *allocate(void *arg)
{
    uint32_t seed = 7;
    while (!stop) {
        void *object;
        planted_drop(&object, 1 + random_next32(&seed) % 30000);
        free(object);
    }
    return arg;
}

static void storm(void)
{
    pthread_t threads[3];
    plant();
    for (int t = 0; t < 3; t++)
        CHECK(pthread_create(&threads[t], NULL, allocate, NULL) == 0);
    for (int i = 0; i < 300; i++) {
        CHECK(pthread_kill(threads[i % 3], SIGUSR2) == 0);
        CHECK(raise(SIGUSR2) == 0);
    }
    stop = true;
    for (int t = 0; t < 3; t++)
        CHECK(pthread_join(threads[t], NULL) == 0);
    CHECK(raise(SIGUSR2) == 0);
    _exit(0);
}

/* ---- alone ---- */

static void *end_process(void *first)
{
    CHECK(pthread_join(*(pthread_t *)first, NULL) == 0);
    exit(0);
}

static void alone(void)
{
    static pthread_t first;
    pthread_t other;
    first = pthread_self();
    CHECK(pthread_create(&other, NULL, end_process, &first) == 0);
    pthread_exit(NULL);
}

/* ---- ending, beside, within ---- */

static _Atomic bool raised;

static void *raise_always(void *arg)
{
    for (;;) {
        CHECK(raise(SIGUSR2) == 0);
        raised = true;
    }
    return arg;
}

static void ending(void)
{
    pthread_t other;
    CHECK(pthread_create(&other, NULL, raise_always, NULL) == 0);
    while (!raised)
        sched_yield();
}

/* To what may be a full pipe, whose reader it waits for. */
static void write_to(const char *file)
{
    while (nh_profile_write(file) != 0)
        CHECK(errno == EBUSY);
}

static void *write_beside(void *file)
{
    write_to(file);
    return file;
}

static void wait_for_writer(void)
{
    while (nh_profile_write("/dev/null") == 0)
        sched_yield();
    CHECK(errno == EBUSY);
}

static void beside(char *file)
{
    pthread_t other;
    CHECK(pthread_create(&other, NULL, write_beside, file) == 0);
    wait_for_writer();
    CHECK(puts("exiting") >= 0 && fflush(stdout) == 0);
}

static void end_here(int number)
{
    (void)number;
    exit(0);
}

static void *interrupt(void *thread)
{
    wait_for_writer();
    CHECK(pthread_kill(*(pthread_t *)thread, SIGUSR1) == 0);
    return thread;
}

static void within(const char *file)
{
    static pthread_t own;
    pthread_t other;
    own = pthread_self();
    CHECK(signal(SIGUSR1, end_here) != SIG_ERR);
    CHECK(pthread_create(&other, NULL, interrupt, &own) == 0);
    write_to(file);
}

/* ---- calls ---- */

static void calls(const char *folder)
{
    char path[512];
    errno = 0;
    CHECK(nh_profile_write(NULL) == -1 && errno == EINVAL);
    CHECK(nh_profile_start(SIZE_MAX) == -1 && errno == EINVAL);
    plant(); /* not seen */
    CHECK(nh_profile_start(4096) == 0);
    for (int i = 0; i < DROPPED; i++) {
        void *object;
        planted_drop(&object, SIZE);
        free(object);
    }
    nh_profile_stop();
    drop_kept();
    plant(); /* not seen */
    snprintf(path, sizeof path, "%s/calls", folder);
    CHECK(nh_profile_write(path) == 0);
    snprintf(path, sizeof path, "%s/missing/calls", folder);
    CHECK(nh_profile_write(path) == -1 && errno == ENOENT);
    CHECK(nh_profile_write("/dev/full") == -1 && errno == ENOSPC);
    /* Cut, it would be another file's, which was there. */
    char far[5000];
    size_t used = (size_t)snprintf(far, sizeof far, "%s/", folder);
    memset(far + used, 'x', sizeof far - 1 - used);
    for (size_t i = used; i < sizeof far - 1; i += 200)
        far[i] = '/';
    far[sizeof far - 1] = '\0';
    CHECK(nh_profile_write(far) == -1 && errno == ENAMETOOLONG);
}

/* ---- crossnode: pairs of threads, one on the first node and one on the last ---- */

#define SENT 4000
static void *_Atomic sent[64];

static void on_node(bool last)
{
    for (int node = 0; node < 64; node++)
        if (nh_set_thread_node(node) == 0 && !last)
            return;
}

static void *produce(void *arg)
{
    on_node(false);
    for (int i = 0; i < SENT; i++) {
        void *object;
        planted_local(&object, 500);
        free(object);
        planted_remote(&object, 3000);
        void *_Atomic *slot = &sent[i % 64];
        while (atomic_load(slot) != NULL)
            sched_yield();
        atomic_store(slot, object);
    }
    return arg;
}

static void *consume(void *arg)
{
    on_node(true);
    for (int i = 0; i < SENT; i++) {
        void *object;
        while ((object = atomic_exchange(&sent[i % 64], NULL)) == NULL)
            sched_yield();
        free(object);
    }
    return arg;
}

static void crossnode(void)
{
    pthread_t producer, consumer;
    CHECK(pthread_create(&producer, NULL, produce, NULL) == 0);
    CHECK(pthread_create(&consumer, NULL, consume, NULL) == 0);
    CHECK(pthread_join(producer, NULL) == 0);
    CHECK(pthread_join(consumer, NULL) == 0);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    if (strcmp(mode, "exit") == 0) {
        plant();
    } else if (strcmp(mode, "signal") == 0) {
        plant();
        CHECK(raise(SIGUSR2) == 0);
        drop_kept();
        _exit(0);
    } else if (strcmp(mode, "stack") == 0) {
        plant();
        raise_on_stack();
        drop_kept();
        _exit(0);
    } else if (strcmp(mode, "storm") == 0) {
        storm();
    } else if (strcmp(mode, "fork") == 0) {
        plant();
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            drop_kept();
            exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    } else if (strcmp(mode, "alone") == 0) {
        plant();
        alone();
    } else if (strcmp(mode, "ending") == 0) {
        plant();
        ending();
    } else if (strcmp(mode, "beside") == 0 && argc > 2) {
        plant();
        beside(argv[2]);
    } else if (strcmp(mode, "within") == 0 && argc > 2) {
        plant();
        within(argv[2]);
        return 1;
    } else if (strcmp(mode, "calls") == 0 && argc > 2) {
        calls(argv[2]);
    } else if (strcmp(mode, "crossnode") == 0) {
        crossnode();
    } else {
        return 2;
    }
    return 0;
}
