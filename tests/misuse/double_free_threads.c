/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Two threads free the same small object: found when both have given it back.
 */
#include <pthread.h>
#include <stdlib.h>

static void *free_it(void *p)
{
    free(p);
    return NULL;
}

int main(void)
{
    void *p = malloc(100);
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, free_it, p) != 0)
            return 1;
        pthread_join(thread, NULL);
    }
    return 0;
}
