/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * channel.c - the queue of batches.  A mutex and conditions: with more threads than
 * CPUs a thread that spins keeps the one it waits for from running. */
#include "workload.h"

#include <pthread.h>
#include <string.h>

#define SLOTS 32

struct workload_channel {
    pthread_mutex_t lock;    /* guards all */
    pthread_cond_t not_full; /* or closed */
    pthread_cond_t not_empty;
    unsigned first, used; /* slots */
    unsigned closed;      /* by so many givers */
    bool ended;
    struct workload_batch batches[SLOTS];
};

struct workload_channel *workload_channel_new(void)
{
    struct workload_channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL)
        workload_fail("no memory for a channel");
    pthread_mutex_init(&channel->lock, NULL);
    pthread_cond_init(&channel->not_full, NULL);
    pthread_cond_init(&channel->not_empty, NULL);
    return channel;
}

void workload_channel_delete(struct workload_channel *channel)
{
    pthread_cond_destroy(&channel->not_empty);
    pthread_cond_destroy(&channel->not_full);
    pthread_mutex_destroy(&channel->lock);
    free(channel);
}

/* Only the used part is copied. */
static void copy(struct workload_batch *to, const struct workload_batch *from)
{
    to->count = from->count;
    memcpy(to->objects, from->objects, from->count * sizeof from->objects[0]);
}

void workload_channel_give(struct workload_channel *channel, const struct workload_batch *batch)
{
    pthread_mutex_lock(&channel->lock);
    while (channel->used == SLOTS)
        pthread_cond_wait(&channel->not_full, &channel->lock);
    copy(&channel->batches[(channel->first + channel->used) % SLOTS], batch);
    channel->used++;
    pthread_mutex_unlock(&channel->lock);
    pthread_cond_signal(&channel->not_empty);
}

void workload_channel_close(struct workload_channel *channel, unsigned givers)
{
    pthread_mutex_lock(&channel->lock);
    channel->closed++;
    channel->ended = channel->closed == givers;
    pthread_mutex_unlock(&channel->lock);
    pthread_cond_broadcast(&channel->not_empty);
}

bool workload_channel_take(struct workload_channel *channel, struct workload_batch *batch)
{
    pthread_mutex_lock(&channel->lock);
    while (channel->used == 0 && !channel->ended)
        pthread_cond_wait(&channel->not_empty, &channel->lock);
    bool any = channel->used != 0;
    if (any) {
        copy(batch, &channel->batches[channel->first]);
        channel->first = (channel->first + 1) % SLOTS;
        channel->used--;
    }
    pthread_mutex_unlock(&channel->lock);
    pthread_cond_signal(&channel->not_full);
    return any;
}
