/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * stack.c - how much of a thread's stack malloc and free need at their worst: growing, moving,
 * collecting, refusing.  Threads may have but 16 KiB (PTHREAD_STACK_MIN), and handlers of signals
 * less than 8.
 */
#include "check.h"

#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>

#define STACK ((size_t)256 << 10)
#define PAINT 0xa5
#define MOST  ((size_t)5 << 10) /* bytes */
#define LARGE ((size_t)3 << 20)
#define KEPT  64

static _Alignas(4096) unsigned char stack[STACK];

/* Everything below the caller's frame, of which the call itself is part. */
static size_t deepest(const unsigned char *frame)
{
    const unsigned char *at = stack;
    while (at < frame && *at == PAINT)
        at++;
    return (size_t)(frame - at);
}

static void repaint(const unsigned char *frame)
{
    enum { OWN = 512 }; /* of this function and of what it calls */
    memset(stack, PAINT, (size_t)(frame - stack) - OWN);
}

static size_t worst;

static void look(const char *what, const unsigned char *frame)
{
    size_t depth = deepest(frame);
    printf("stack: %-28s %5zu bytes\n", what, depth);
    if (depth > worst)
        worst = depth;
    repaint(frame);
}

static void small(void)
{
    static void *kept[KEPT << 8];
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        kept[i] = malloc(16 + i % 4000);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        free(kept[i]);
}

static void large(void)
{
    void *kept[KEPT];
    for (size_t i = 0; i < KEPT; i++) {
        kept[i] = malloc(LARGE + i * 4096);
        CHECK(kept[i] != NULL);
        memset(kept[i], 1, LARGE);
    }
    for (size_t i = 0; i < KEPT; i++)
        free(kept[i]);
}

static void moving(void)
{
    char *object = malloc(LARGE);
    CHECK(object != NULL);
    for (size_t times = 2; times < 20; times++) {
        memset(object, 1, LARGE);
        char *grown = realloc(object, LARGE * times);
        CHECK(grown != NULL);
        object = grown;
    }
    free(object);
}

static void refused(void)
{
    void *volatile none = malloc((size_t)1 << 45);
    CHECK(none == NULL);
    free(none);
}

static void aligned(void)
{
    free(memalign(LARGE / 3, 5000));
    free(memalign(64, 100));
}

static void *all(void *arg)
{
    unsigned char here;
    const unsigned char *frame = &here;
    static const struct {
        const char *what;
        void (*call)(void);
    } calls[] = {{"small objects", small},
                 {"large objects", large},
                 {"moved objects", moving},
                 {"aligned objects", aligned},
                 {"a size that is refused", refused}};
    repaint(frame);
    for (unsigned round = 0; round < 2; round++)
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
            calls[i].call();
            look(calls[i].what, frame);
        }
    CHECK(malloc_trim(0) >= 0);
    look("malloc_trim", frame);
    return arg;
}

int main(void)
{
    small();
    large();
    moving();
    aligned();
    refused(); /* what the loader does at first calls is not ours */
    (void)malloc_trim(0);
    printf("stack:\n");
    pthread_t thread;
    pthread_attr_t attributes;
    memset(stack, PAINT, sizeof stack);
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstack(&attributes, stack, sizeof stack) == 0);
    CHECK(pthread_create(&thread, &attributes, all, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(worst > 0 && worst <= MOST);
    return 0;
}
