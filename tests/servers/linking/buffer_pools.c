/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * buffer_pools.c - an example: a server with a pool of page buffers on every node.  A
 * thread takes buffers of the node it runs on, fills them, hands them to a thread
 * elsewhere, which verifies them and gives them back to the pool they came from.
 *
 * A pool is one piece of nh_pages_alloc's memory.  Whose a buffer is says its address:
 * nh_node_of.  tests/servers/linking.sh builds this in every way there is, and runs it.
 */
#include <nearheap.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define NODES_MAX    64
#define BUFFERS      256 /* of each pool */
#define BUFFER_PAGES 2   /* of NH_PAGE_BYTES */
#define BUFFER_WORDS (BUFFER_PAGES * NH_PAGE_BYTES / sizeof(uint64_t))
#define ROUNDS       200
#define HELD         32 /* buffers that a thread has at a time */
#define PAIRS        4

struct pool {
    int node;
    uint64_t *memory;
    pthread_mutex_t lock;
    unsigned count; /* guarded by lock, as the next */
    uint64_t *vacant[BUFFERS];
};

static struct pool pools[NODES_MAX];
static int pool_count;

static void fail(const char *what)
{
    fprintf(stderr, "buffer_pools: %s\n", what);
    exit(1);
}

/* One pool for each node that there is; their numbers may have gaps. */
static void make_pools(void)
{
    for (int node = 0; node < NODES_MAX && pool_count < nh_node_count(); node++) {
        struct pool *pool = &pools[pool_count];
        pool->memory = nh_pages_alloc((size_t)BUFFERS * BUFFER_PAGES, node);
        if (pool->memory == NULL)
            continue; /* no such node */
        pool->node = node;
        pthread_mutex_init(&pool->lock, NULL);
        for (unsigned i = 0; i < BUFFERS; i++)
            pool->vacant[pool->count++] = pool->memory + i * BUFFER_WORDS;
        pool_count++;
    }
}

static struct pool *pool_of(int node)
{
    for (int i = 0; i < pool_count; i++)
        if (pools[i].node == node)
            return &pools[i];
    return &pools[0]; /* a node with CPUs and no memory */
}

/* A buffer of the node that the thread runs on; NULL when its pool has none left. */
static uint64_t *take(void)
{
    struct pool *pool = pool_of(nh_current_node());
    pthread_mutex_lock(&pool->lock);
    uint64_t *buffer = pool->count > 0 ? pool->vacant[--pool->count] : NULL;
    pthread_mutex_unlock(&pool->lock);
    return buffer;
}

static void give_back(uint64_t *buffer)
{
    struct pool *pool = pool_of(nh_node_of(buffer));
    pthread_mutex_lock(&pool->lock);
    pool->vacant[pool->count++] = buffer;
    pthread_mutex_unlock(&pool->lock);
}

/* ---- Two threads: one fills, the other verifies ---- */

struct pair {
    pthread_barrier_t meet;
    uint64_t *handed[HELD];
    uint64_t seed;
};

static void *fill(void *argument)
{
    struct pair *pair = argument;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < HELD; i++) {
            uint64_t *buffer = take();
            for (size_t word = 0; buffer != NULL && word < BUFFER_WORDS; word++)
                buffer[word] = pair->seed + round + i + word;
            pair->handed[i] = buffer;
        }
        pthread_barrier_wait(&pair->meet);
        pthread_barrier_wait(&pair->meet);
    }
    return NULL;
}

static void *verify(void *argument)
{
    struct pair *pair = argument;
    for (unsigned round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&pair->meet);
        for (unsigned i = 0; i < HELD; i++) {
            uint64_t *buffer = pair->handed[i];
            for (size_t word = 0; buffer != NULL && word < BUFFER_WORDS; word++)
                if (buffer[word] != pair->seed + round + i + word)
                    fail("a buffer does not hold what was written");
            if (buffer != NULL)
                give_back(buffer);
        }
        pthread_barrier_wait(&pair->meet);
    }
    return NULL;
}

int main(void)
{
    static struct pair pairs[PAIRS];
    pthread_t threads[2 * PAIRS];
    make_pools();
    if (pool_count != nh_node_count())
        fail("a node has no pool");
    for (unsigned i = 0; i < PAIRS; i++) {
        pairs[i].seed = (uint64_t)i << 32;
        pthread_barrier_init(&pairs[i].meet, NULL, 2);
        if (pthread_create(&threads[2 * i], NULL, fill, &pairs[i]) != 0 ||
            pthread_create(&threads[2 * i + 1], NULL, verify, &pairs[i]) != 0)
            fail("no thread could be created");
    }
    for (unsigned i = 0; i < 2 * PAIRS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < pool_count; i++) {
        struct pool *pool = &pools[i];
        if (pool->count != BUFFERS)
            fail("a buffer is missing");
        for (unsigned n = 0; n < BUFFERS; n++)
            if (nh_node_of(pool->vacant[n]) != pool->node)
                fail("a buffer is in another node's pool");
        nh_pages_free(pool->memory);
    }
    printf("%d pools\n", pool_count);
    return 0;
}
