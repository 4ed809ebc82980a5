/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * sampled.c - five workloads that count exactly what they allocate, for sampled.py to
 * compare with what their profiles say.
 *
 * usage: sampled FOLDER [REPETITIONS [threads | cpus | told]]
 *
 * Of each repetition it writes the profile to FOLDER/WORKLOAD.NUMBER and a line to
 * stdout: workload, number, and the objects and bytes allocated by then, with the
 * variance that their estimates have in theory; and the same of what is live.  A sampled
 * object of n bytes counts for 1/p with p = 1 - exp(-n / RATE), and all are sampled
 * independently, so the variance is the sum of (1 - p) / p, and of n^2 (1 - p) / p.
 *
 * The third argument makes certain whose caches are used (src/cpu_cache.h).
 */
#include "../server/check.h"
#include "nearheap.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#define RATE    16384
#define THREADS 4

struct sums {
    double objects, bytes, objects_variance, bytes_variance;
};
struct account {
    struct sums all, live;
};

static void add(struct sums *to, double sign, double bytes)
{
    double p = -expm1(-bytes / RATE);
    to->objects += sign;
    to->bytes += sign * bytes;
    to->objects_variance += sign * (1 - p) / p;
    to->bytes_variance += sign * bytes * bytes * (1 - p) / p;
}

static void *got(struct account *account, void *object)
{
    CHECK(object != NULL);
    double bytes = (double)malloc_usable_size(object);
    add(&account->all, 1, bytes);
    add(&account->live, 1, bytes);
    return object;
}

static void drop(struct account *account, void *object)
{
    if (object != NULL)
        add(&account->live, -1, (double)malloc_usable_size(object));
    free(object);
}

/* To a profile it is another object, unless it stays where it is. */
static void *grow(struct account *account, void *object, size_t size)
{
    double bytes = (double)malloc_usable_size(object);
    void *grown = realloc(object, size);
    add(&account->live, -1, bytes);
    if (grown == object)
        add(&account->all, -1, bytes);
    return got(account, grown);
}

/* Between two. */
static size_t between(uint32_t *seed, size_t least, size_t most)
{
    return least + random_next32(seed) % (most - least + 1);
}

/* ---- Workloads; each leaves something live ---- */

/* A cache gives out the same two objects again and again. */
static void same_object(struct account *account, uint32_t *seed)
{
    (void)seed;
    for (int i = 0; i < 30000; i++) {
        void *a = got(account, malloc(48)), *b = got(account, malloc(700));
        drop(account, a);
        drop(account, b);
    }
    for (int i = 0; i < 500; i++)
        got(account, malloc(48));
}

#define SLOTS 2000

static void random_slots(struct account *account, uint32_t *seed, size_t least, size_t most,
                         int steps)
{
    static void *slot[SLOTS];
    for (int i = 0; i < steps; i++) {
        size_t k = random_next32(seed) % SLOTS;
        drop(account, slot[k]);
        slot[k] = got(account, malloc(between(seed, least, most)));
    }
    for (int k = 0; k < SLOTS; k += 1 + (int)(random_next32(seed) % 3)) {
        drop(account, slot[k]);
        slot[k] = NULL;
    }
}

static void small_sizes(struct account *account, uint32_t *seed)
{
    random_slots(account, seed, 0, 1024, 20000);
}

static void all_classes(struct account *account, uint32_t *seed)
{
    random_slots(account, seed, 1000, 40000, 3000);
}

/* Buffers that grow; calloc; alignments. */
static void large_and_odd(struct account *account, uint32_t *seed)
{
    for (int i = 0; i < 60; i++) {
        void *grown = got(account, malloc(between(seed, 70000, 200000)));
        grown = grow(account, grown, between(seed, 300000, 900000));
        grown = grow(account, grown, between(seed, 900000, 1500000));
        void *zeroed = got(account, calloc(3, between(seed, 1, 60000)));
        void *aligned;
        CHECK(posix_memalign(&aligned, 64U << random_next32(seed) % 6, between(seed, 1, 5000)) ==
              0);
        got(account, aligned);
        void *moved = got(account, malloc(between(seed, 1, 500)));
        moved = grow(account, moved, between(seed, 1025, 3000));
        if (i % 8 != 0) {
            drop(account, grown);
            drop(account, zeroed);
            drop(account, aligned);
            drop(account, moved);
        }
    }
}

/* Threads free what others allocated. */
struct exchange {
    pthread_t thread;
    struct account account;
    uint32_t seed;
    void *_Atomic *slot;
};

static void *exchange(void *arg)
{
    struct exchange *one = arg;
    for (int i = 0; i < 8000; i++) {
        void *object = got(&one->account, malloc(between(&one->seed, 16, 500)));
        drop(&one->account, atomic_exchange(&one->slot[random_next32(&one->seed) % 64], object));
    }
    return NULL;
}

static void threads(struct account *account, uint32_t *seed)
{
    static void *_Atomic slot[64];
    struct exchange one[THREADS];
    for (int t = 0; t < THREADS; t++) {
        one[t] = (struct exchange){.seed = random_next32(seed), .slot = slot};
        CHECK(pthread_create(&one[t].thread, NULL, exchange, &one[t]) == 0);
    }
    for (int t = 0; t < THREADS; t++) {
        CHECK(pthread_join(one[t].thread, NULL) == 0);
        double *to = (double *)account, *from = (double *)&one[t].account;
        for (size_t i = 0; i < sizeof *account / sizeof *to; i++)
            to[i] += from[i];
    }
}

/* ---- Whose caches ---- */

static void *one_pair(void *arg)
{
    free(malloc(100));
    return arg;
}

static void prepare(const char *caches)
{
    if (strcmp(caches, "told") == 0)
        CHECK(nh_set_thread_node(nh_current_node()) == 0);
    if (strcmp(caches, "cpus") == 0 || strcmp(caches, "told") == 0) {
        for (long i = 0; i < 4 * sysconf(_SC_NPROCESSORS_ONLN); i++) {
            pthread_t thread;
            CHECK(pthread_create(&thread, NULL, one_pair, NULL) == 0);
            CHECK(pthread_join(thread, NULL) == 0);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(struct account *account, uint32_t *seed);
    } workloads[] = {
        {"same_object", same_object}, {"small_sizes", small_sizes},
        {"all_classes", all_classes}, {"large_and_odd", large_and_odd},
        {"threads", threads},
    };
    if (argc < 2)
        return 2;
    int repetitions = argc > 2 ? atoi(argv[2]) : 10;
    prepare(argc > 3 ? argv[3] : "threads");
    uint32_t seed = 1;
    CHECK(nh_profile_start(RATE) == 0);
    struct account account = {0};
    for (size_t w = 0; w < sizeof workloads / sizeof *workloads; w++) {
        for (int r = 0; r < repetitions; r++) {
            char path[512];
            snprintf(path, sizeof path, "%s/%s.%d", argv[1], workloads[w].name, r);
            workloads[w].run(&account, &seed);
            CHECK(nh_profile_write(path) == 0);
            printf("%s %d", workloads[w].name, r);
            for (size_t i = 0; i < sizeof account / sizeof(double); i++)
                printf(" %.17g", ((double *)&account)[i]);
            putchar('\n');
        }
    }
    return 0;
}
