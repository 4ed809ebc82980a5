/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * thread_exit.c - threads that end give back what they cached: after many of
 * them the heap is no larger than after a few.
 */
#include "check.h"
#include "settled.h"

#include <pthread.h>

#define AT_ONCE     8
#define WARM_ROUNDS 30
#define ROUNDS      (UNDER_TSAN ? 60 : 300)
#define OBJECTS     200
#define LEFT        (OBJECTS / 4) /* to the main thread */

/* What may differ between two quiet moments: buffers of the C library. */
#define LIVE_SLACK (64U << 10)
/* For each of the nodes: some chunks of metadata, and a few growths, which come in huge pages. */
#define METADATA_SLACK (512U << 10)
#define MAPPED_SLACK   (8U << 20)

struct work {
    uint32_t seed;
    void *left[LEFT];
    size_t size[LEFT];
};

static void *run(void *arg)
{
    struct work *work = arg;
    void *objects[OBJECTS];
    size_t sizes[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++) {
        sizes[i] = i == 0 ? 100000 : 1 + random_next32(&work->seed) % 4096;
        objects[i] = filled(sizes[i]);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        if (i % 4 == 3) {
            work->left[i / 4] = objects[i];
            work->size[i / 4] = sizes[i];
        } else {
            verify_free(objects[i], sizes[i]);
        }
    }
    return NULL;
}

static void rounds(int n)
{
    static struct work work[AT_ONCE];
    pthread_t threads[AT_ONCE];
    for (int r = 0; r < n; r++) {
        for (int t = 0; t < AT_ONCE; t++) {
            work[t].seed = (uint32_t)(r * AT_ONCE + t + 1);
            CHECK(pthread_create(&threads[t], NULL, run, &work[t]) == 0);
        }
        for (int t = 0; t < AT_ONCE; t++) {
            CHECK(pthread_join(threads[t], NULL) == 0);
            for (size_t i = 0; i < LEFT; i++)
                verify_free(work[t].left[i], work[t].size[i]);
        }
    }
}

int main(void)
{
    rounds(WARM_ROUNDS);
    struct nh_stats before = settled_stats();
    rounds(ROUNDS);
    struct nh_stats after = settled_stats();
    printf("thread_exit: %d threads; live %llu then %llu, mapped %llu then %llu, metadata %llu "
           "then %llu bytes, caches %llu then %llu\n",
           AT_ONCE * ROUNDS, (unsigned long long)before.live_bytes,
           (unsigned long long)after.live_bytes, (unsigned long long)before.mapped_bytes,
           (unsigned long long)after.mapped_bytes, (unsigned long long)before.metadata_bytes,
           (unsigned long long)after.metadata_bytes, (unsigned long long)before.caches,
           (unsigned long long)after.caches);
    fflush(stdout);
    /* CPUs' caches come with the CPUs. */
    long cpus = sysconf(_SC_NPROCESSORS_CONF);
    CHECK(after.caches == before.caches || after.caches <= (unsigned long)cpus);
    CHECK(after.live_bytes <= before.live_bytes + LIVE_SLACK);
    CHECK(after.metadata_bytes <= before.metadata_bytes + (uint64_t)METADATA_SLACK * after.nodes);
    CHECK(after.mapped_bytes <= before.mapped_bytes + (uint64_t)MAPPED_SLACK * after.nodes);
    return 0;
}
