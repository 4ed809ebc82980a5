/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * finalizer.c - what nearheap.h says of finalizers: when, where and how often they
 * run, what they may do, and where realloc takes them; among threads and forks.
 */
#include "nearheap.h"
#include "server/check.h"

#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>

/* ---- What a finalizer saw ---- */

struct seen {
    int calls;
    void *ptr;
    pthread_t thread;
    unsigned char first_byte;
};

static void note(void *ptr, void *arg)
{
    struct seen *seen = arg;
    seen->calls++;
    seen->ptr = ptr;
    seen->thread = pthread_self();
    seen->first_byte = *(unsigned char *)ptr;
    errno = EDOM;
}

static void *noted(size_t size, struct seen *seen)
{
    unsigned char *object = malloc(size);
    CHECK(object != NULL);
    *object = 0x5a;
    *seen = (struct seen){0};
    CHECK(nh_attach_finalizer(object, note, seen) == 0);
    return object;
}

static void runs_once_at_free(void)
{
    static const size_t sizes[] = {1, 16, 100, 1024, 1025, 8192, 40000, 65536, 65537, 1 << 21};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct seen seen;
        void *object = noted(sizes[i], &seen);
        CHECK(malloc_usable_size(object) >= sizes[i]);
        errno = 0;
        free(object);
        CHECK(errno == 0);
        CHECK(seen.calls == 1 && seen.ptr == object && seen.first_byte == 0x5a &&
              pthread_equal(seen.thread, pthread_self()));
        object = malloc(sizes[i]);
        free(object);
        CHECK(seen.calls == 1);

        object = noted(sizes[i], &seen);
        CHECK(nh_detach_finalizer(object) == 0);
        free(object);
        CHECK(seen.calls == 0);

        object = noted(sizes[i], &seen);
        free_sized(object, sizes[i]);
        CHECK(seen.calls == 1);
    }
}

static void refusals(void)
{
    struct seen seen;
    char *object = noted(64, &seen);
    errno = 0;
    CHECK(nh_attach_finalizer(object, note, &seen) == -1 && errno == EEXIST);
    CHECK(nh_attach_finalizer(object, NULL, &seen) == -1 && errno == EINVAL);
    CHECK(nh_attach_finalizer(object + 16, note, &seen) == -1 && errno == EINVAL);
    CHECK(nh_attach_finalizer(&seen, note, &seen) == -1 && errno == EINVAL);
    CHECK(nh_attach_finalizer(NULL, note, &seen) == -1 && errno == EINVAL);
    CHECK(nh_detach_finalizer(object) == 0);
    CHECK(nh_detach_finalizer(object) == -1 && errno == ENOENT);
    CHECK(nh_detach_finalizer(NULL) == -1 && errno == ENOENT);
    free(object);
    char *large = malloc(1 << 20);
    CHECK(nh_attach_finalizer(large + NH_PAGE_BYTES, note, &seen) == -1 && errno == EINVAL);
    free(large);
    void *pages = nh_pages_alloc(2, -1);
    CHECK(nh_attach_finalizer(pages, note, &seen) == -1 && errno == EINVAL);
    nh_pages_free(pages);
    CHECK(seen.calls == 0);
}

/* ---- What fn may do ---- */

struct node {
    struct node *next;
    int *count;
};

static void free_next(void *ptr, void *arg)
{
    struct node *node = ptr;
    (void)arg;
    ++*node->count;
    free(node->next); /* whose finalizer runs inside */
    void *other = malloc(48);
    CHECK(other != ptr && nh_attach_finalizer(other, free_next, NULL) == 0);
    CHECK(nh_detach_finalizer(other) == 0);
    free(other);
}

static void attach_again(void *ptr, void *arg)
{
    CHECK(nh_attach_finalizer(ptr, note, arg) == 0);
}

static void inside(void)
{
    int count = 0;
    struct node *list = NULL;
    for (int i = 0; i < 100; i++) {
        struct node *node = malloc(sizeof *node);
        *node = (struct node){list, &count};
        CHECK(nh_attach_finalizer(node, free_next, NULL) == 0);
        list = node;
    }
    free(list);
    CHECK(count == 100);

    struct seen seen = {0};
    void *object = malloc(200);
    CHECK(nh_attach_finalizer(object, attach_again, &seen) == 0);
    free(object);
    CHECK(seen.calls == 1 && seen.ptr == object);
}

/* ---- realloc ---- */

static void follows_realloc(void)
{
    static const size_t sizes[] = {24,    30,     300,     16,      5000, 70000,
                                   60000, 200000, 3 << 20, 9 << 20, 50};
    struct seen seen;
    unsigned char *object = noted(20, &seen);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *pin = malloc(sizes[i]); /* keeps some of them from growing in place */
        object = realloc(object, sizes[i]);
        CHECK(object != NULL && *object == 0x5a && seen.calls == 0);
        CHECK(nh_attach_finalizer(object, note, &seen) == -1 && errno == EEXIST);
        free(pin);
    }
    /* More than there is: it stays as it is. */
    CHECK(realloc(object, PTRDIFF_MAX - 4096) == NULL);
    CHECK(seen.calls == 0);
    CHECK(realloc(object, 0) == NULL);
    CHECK(seen.calls == 1 && seen.ptr == object);
}

/* ---- Many, of which every third has one, freed in any order by any thread ---- */

#define MANY    6000
#define THREADS 4

static _Atomic uint32_t ran;

static void count(void *ptr, void *arg)
{
    CHECK(memcmp(ptr, &arg, sizeof arg) == 0);
    ran++;
}

struct part {
    void **object;
    uint32_t seed;
    uint32_t expected;
};

static size_t any_size(uint32_t *seed)
{
    uint32_t kind = random_next32(seed) % 100;
    return sizeof(void *) + random_next32(seed) % (kind < 90   ? 200
                                                   : kind < 98 ? 10000
                                                   : kind < 99 ? 66000
                                                               : 200000);
}

static void *fill_part(void *arg)
{
    struct part *part = arg;
    for (size_t i = 0; i < MANY; i++) {
        void *object = part->object[i] = malloc(any_size(&part->seed));
        memcpy(object, &object, sizeof object);
        if (random_next32(&part->seed) % 3 == 0) {
            CHECK(nh_attach_finalizer(object, count, object) == 0);
            part->expected++;
        }
    }
    return NULL;
}

static void *free_part(void *arg)
{
    struct part *part = arg;
    for (size_t i = MANY; i > 0; i--) {
        size_t k = random_next32(&part->seed) % i;
        void *object = part->object[k];
        CHECK(memcmp(object, &object, sizeof object) == 0);
        part->object[k] = part->object[i - 1];
        if (random_next32(&part->seed) % 16 == 0 && nh_detach_finalizer(object) == 0)
            part->expected--;
        free(object);
    }
    return NULL;
}

static void in_threads(void *(*run)(void *), struct part *parts, unsigned shift)
{
    pthread_t threads[THREADS];
    for (unsigned t = 0; t < THREADS; t++)
        CHECK(pthread_create(&threads[t], NULL, run, &parts[(t + shift) % THREADS]) == 0);
    for (unsigned t = 0; t < THREADS; t++)
        CHECK(pthread_join(threads[t], NULL) == 0);
}

static void many(void)
{
    static void *objects[THREADS][MANY];
    struct part parts[THREADS];
    for (unsigned round = 0; round < 3; round++) {
        ran = 0;
        for (unsigned t = 0; t < THREADS; t++)
            parts[t] = (struct part){objects[t], 17 * t + round + 1, 0};
        in_threads(fill_part, parts, 0);
        in_threads(free_part, parts, round); /* mostly by another thread */
        uint32_t expected = 0;
        for (unsigned t = 0; t < THREADS; t++)
            expected += parts[t].expected;
        CHECK(ran == expected && expected > THREADS * MANY / 4);
    }
}

static void runs_where_freed(void)
{
    struct seen seen;
    void *object = noted(500, &seen);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, (void *(*)(void *))(void (*)(void))free, object) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(seen.calls == 1 && pthread_equal(seen.thread, thread));
}

static void after_fork(void)
{
    struct seen seen;
    void *object = noted(500, &seen);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        free(object);
        _exit(seen.calls == 1 && seen.ptr == object ? 0 : 1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(seen.calls == 0);
    free(object);
    CHECK(seen.calls == 1);
}

int main(void)
{
    runs_once_at_free();
    refusals();
    inside();
    follows_realloc();
    many();
    runs_where_freed();
    after_fork();
    puts("finalizers ran when they should");
    return 0;
}
