/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Where fresh objects lie, as the kernel sees it, on the node of the thread that
 * asked for them:
 *   private    objects of threads that stay on their node and free their own;
 *   exchanged  what threads on every node get after each freed objects of the
 *              node beside it;
 *   moved      what a thread gets just after it moved to another node, with
 *              what it freed there still warm in its cache.
 *
 * usage: placed [PRIVATE EXCHANGED MOVED]: least shares in percent; status 1 if
 * one is not reached.  Runs with any malloc.
 */
#include "guest.h"

#define OBJECTS 3000
#define LARGE   40
#define ROUNDS  4

static struct guest guest;
static pthread_barrier_t barrier;
static double least[3];

struct worker {
    pthread_t thread;
    int place; /* in guest.node */
    unsigned short seed[3];
    void *object[OBJECTS + LARGE];
    size_t bytes[OBJECTS + LARGE];
    double share[3];
};
static struct worker workers[GUEST_NODES];

/* As a server's: mostly small, some of kilobytes, a few buffers. */
static size_t random_size(struct worker *w, int i)
{
    if (i >= OBJECTS)
        return 70000 + (size_t)nrand48(w->seed) % 300000;
    size_t bits = 4 + (size_t)nrand48(w->seed) % 9;
    return ((size_t)1 << bits) + (size_t)nrand48(w->seed) % ((size_t)1 << bits);
}

static void get(struct worker *w, int i)
{
    w->bytes[i] = random_size(w, i);
    w->object[i] = malloc(w->bytes[i]);
    CHECK(w->object[i] != NULL);
    memset(w->object[i], w->place + 1, w->bytes[i]);
}

static void check(const struct worker *w, int i)
{
    const unsigned char *at = w->object[i];
    CHECK(at[0] == w->place + 1 && memcmp(at, at + 1, w->bytes[i] - 1) == 0);
}

static void give(struct worker *w, int i)
{
    check(w, i);
    free(w->object[i]);
    w->object[i] = NULL;
}

static double share_here(struct worker *w, int place)
{
    struct residence where = {0};
    for (int i = 0; i < OBJECTS + LARGE; i++)
        add_residence(&where, w->object[i], w->bytes[i]);
    return share_on(&where, guest.node[place]);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    run_on_cpu(guest.cpu[w->place]);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < OBJECTS + LARGE; i++) {
            if (round > 0)
                give(w, i);
            get(w, i);
        }
    w->share[0] = share_here(w, w->place);

    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&barrier);
        struct worker *beside = &workers[(w->place + 1 + round % (guest.nodes - 1)) % guest.nodes];
        for (int i = 0; i < OBJECTS + LARGE; i++)
            give(beside, i);
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < OBJECTS + LARGE; i++)
            get(w, i);
    }
    w->share[1] = share_here(w, w->place);

    pthread_barrier_wait(&barrier);
    int there = (w->place + 1) % guest.nodes;
    for (int i = 0; i < OBJECTS + LARGE; i += 2) /* warm in the cache */
        give(w, i);
    run_on_cpu(guest.cpu[there]);
    for (int i = 1; i < OBJECTS + LARGE; i += 2)
        give(w, i);
    for (int i = 0; i < OBJECTS + LARGE; i++)
        get(w, i);
    w->share[2] = share_here(w, there);
    for (int i = 0; i < OBJECTS + LARGE; i++)
        give(w, i);
    return NULL;
}

int main(int argc, char **argv)
{
    for (int i = 0; i < 3 && i + 1 < argc; i++)
        least[i] = strtod(argv[i + 1], NULL);
    guest_look(&guest);
    if (guest.nodes < 2) {
        printf("skipped: one node with CPUs\n");
        return 77;
    }
    CHECK(pthread_barrier_init(&barrier, NULL, (unsigned)guest.nodes) == 0);
    for (int i = 0; i < guest.nodes; i++) {
        workers[i].place = i;
        workers[i].seed[0] = (unsigned short)i;
        CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    }
    double share[3] = {0};
    for (int i = 0; i < guest.nodes; i++) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
        for (int k = 0; k < 3; k++)
            share[k] += workers[i].share[k] / guest.nodes;
    }
    static const char *const names[] = {"private", "exchanged", "moved"};
    int status = 0;
    for (int k = 0; k < 3; k++) {
        printf("%-10s %6.2f %% on the thread's node (least %.1f)\n", names[k], share[k], least[k]);
        status |= share[k] < least[k];
    }
    return status;
}
