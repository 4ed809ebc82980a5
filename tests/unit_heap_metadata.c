/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Heaps of nodes that are used for the first time when the system refuses all memory: the heap
 * itself, its caches, magazines, descriptors and records of objects are made of the free pages
 * of another, and so are the objects.
 *
 * The linker puts functions of this file before two of os.h.  Run with several nodes.
 */
#include "unit.h"

#include "heap.h"
#include "nearheap.h"
#include "os.h"

#include <pthread.h>

#define MIB     ((size_t)1 << 20)
#define STOCK   (32 * MIB) /* what there is */
#define SIZE    64
#define PERCENT 70 /* of it that objects get, at least; hardened ones are a quarter larger */

static bool refusing;

void *__wrap_os_map(size_t bytes, size_t alignment, uintptr_t hint);
void *__real_os_map(size_t bytes, size_t alignment, uintptr_t hint);
void *__wrap_os_map(size_t bytes, size_t alignment, uintptr_t hint)
{
    return refusing ? NULL : __real_os_map(bytes, alignment, hint);
}

bool __wrap_os_extend(uintptr_t end, size_t bytes);
bool __real_os_extend(uintptr_t end, size_t bytes);
bool __wrap_os_extend(uintptr_t end, size_t bytes)
{
    return !refusing && __real_os_extend(end, bytes);
}

static void **take_all(size_t *count)
{
    void **all = NULL;
    *count = 0;
    for (void **at; (at = nh_malloc(SIZE)) != NULL; all = at) {
        memset(at, 0xee, SIZE);
        *at = all;
        ++*count;
    }
    return all;
}

static void free_all(void **all)
{
    while (all != NULL) {
        void **at = all;
        all = *at;
        nh_free(at);
    }
}

static unsigned finalized;

static void finalizer(void *object, void *arg)
{
    (void)object, (void)arg;
    finalized++;
}

/* A thread of another node, with a cache of its own. */
static void *elsewhere(void *arg)
{
    int node = (int)(uintptr_t)arg;
    assert_int_equal(nh_set_thread_node(node), 0);
    void *object = nh_malloc(SIZE);
    assert_non_null(object);
    assert_int_equal(nh_attach_finalizer(object, finalizer, NULL), 0);
    nh_free(object);
    for (unsigned again = 0; again < 2; again++) {
        size_t count;
        void **all = take_all(&count);
        assert_true(count >= STOCK / SIZE / 100 * PERCENT);
        free_all(all);
    }
    return NULL;
}

static void heaps_begin_in_the_pages_of_others(void **state)
{
    (void)state;
    assert_true(nh_node_count() > 2);
    assert_int_equal(nh_set_thread_node(0), 0);
    void *stock = nh_malloc(STOCK);
    assert_non_null(stock);
    memset(stock, 0xee, STOCK);
    nh_free(stock);
    for (unsigned slot = 1; slot < 3; slot++)
        assert_null(heap_if_exists(slot));
    refusing = true;
    for (uintptr_t node = 1; node < 3; node++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, elsewhere, (void *)node), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_non_null(heap_if_exists((unsigned)node));
        assert_int_equal(finalized, node);
    }
    refusing = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heaps_begin_in_the_pages_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
