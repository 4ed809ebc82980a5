/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * grants.c - threads of one node that want more at once than a heap may take without asking: what
 * one was granted is not another's, so all get what their node has.
 */
#include "nearheap.h"
#include "server/check.h"

#include <pthread.h>

#define THREADS 4
#define TIMES   250
#define BYTES   ((size_t)70 << 20) /* more than NH_QUOTA_STEP */

static void *work(void *arg)
{
    size_t *elsewhere = arg;
    CHECK(nh_set_thread_node(0) == 0);
    for (int i = 0; i < TIMES; i++) {
        /* Whose pages are never touched.  It stays, so that all is new. */
        void *object = malloc(BYTES);
        if (object == NULL)
            exit(SKIPPED); /* the system does not let us have so much */
        *elsewhere += nh_node_of(object) != 0;
    }
    return NULL;
}

int main(void)
{
    pthread_t thread[THREADS];
    size_t elsewhere[THREADS] = {0}, all = 0;
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, work, &elsewhere[i]) == 0);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(thread[i], NULL) == 0);
        all += elsewhere[i];
    }
    printf("%zu of %d objects are on another node\n", all, THREADS * TIMES);
    CHECK(all == 0);
    return 0;
}
