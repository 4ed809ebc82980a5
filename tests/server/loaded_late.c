/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * loaded_late.c - a program with glibc's malloc loads libnearheap.so itself,
 * uses it by its own names from several threads, and closes it.
 *
 * usage: loaded_late LIBRARY
 */
#include "check.h"

#include <dlfcn.h>
#include <pthread.h>

#define THREADS 4
#define OBJECTS 1000

static void *(*nearheap_malloc)(size_t);
static void (*nearheap_free)(void *);
static int (*nearheap_node_of)(const void *);

static void *work(void *arg)
{
    void *objects[OBJECTS];
    (void)arg;
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = nearheap_malloc(i * 50 + 1);
        CHECK(objects[i] != NULL && nearheap_node_of(objects[i]) >= 0);
        fill(objects[i], i * 50 + 1);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        verify(objects[i], i * 50 + 1);
        nearheap_free(objects[i]);
    }
    /* glibc's own is still there, and nearheap knows that it is not its own. */
    void *other = filled(100);
    CHECK(nearheap_node_of(other) == -1);
    verify_free(other, 100);
    return NULL;
}

/* ISO C has no conversion from an object's pointer to a function's. */
static void find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    CHECK(symbol != NULL);
    memcpy(function, &symbol, sizeof(symbol));
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    for (int r = 0; r < 3; r++) {
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (library == NULL)
            fprintf(stderr, "loaded_late: %s\n", dlerror());
        CHECK(library != NULL);
        find(library, "nh_malloc", &nearheap_malloc);
        find(library, "nh_free", &nearheap_free);
        find(library, "nh_node_of", &nearheap_node_of);
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++)
            CHECK(pthread_create(&threads[i], NULL, work, NULL) == 0);
        for (int i = 0; i < THREADS; i++)
            CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK(dlclose(library) == 0);
    }
    puts("loaded_late: done");
    return 0;
}
