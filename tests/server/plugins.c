/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * plugins.c - threads load and unload a library that allocates, again and
 * again; what it allocated outlives it.
 *
 * usage: plugins PLUGIN
 */
#include "check.h"

#include <dlfcn.h>
#include <pthread.h>

#define THREADS 3
#define TIMES   60
#define SIZE    3000

static const char *path;

static void *work(void *arg)
{
    uintptr_t number = (uintptr_t)arg;
    void *objects[TIMES];
    for (size_t i = 0; i < TIMES; i++) {
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (library == NULL)
            fprintf(stderr, "plugins: %s\n", dlerror());
        CHECK(library != NULL);
        union {
            void *object;
            void *(*function)(size_t);
        } plugin_work = {.object = dlsym(library, "plugin_work")};
        CHECK(plugin_work.object != NULL);
        objects[i] = plugin_work.function(SIZE + number + i);
        CHECK(dlclose(library) == 0);
    }
    for (size_t i = 0; i < TIMES; i++)
        verify_free(objects[i], SIZE + number + i);
    return NULL;
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    path = argv[1];
    pthread_t threads[THREADS];
    /* Twice: the second time by threads that find the first's leavings. */
    for (int r = 0; r < 2; r++) {
        for (uintptr_t i = 0; i < THREADS; i++)
            CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
        for (int i = 0; i < THREADS; i++)
            CHECK(pthread_join(threads[i], NULL) == 0);
    }
    puts("plugins: done");
    return 0;
}
