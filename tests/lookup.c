/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * lookup.c - nh_lookup of every kind of address, from every place in a program's
 * life: before constructors, on threads that never allocated, in signal handlers
 * that interrupt malloc and free.
 */
#include "family.h"

#include "nearheap.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

/* An errno that nothing here sets. */
#define UNTOUCHED EXDEV

#define SMALL_MOST ((size_t)65536) /* larger objects have a span of their own */

/* In a hardened process an object of these ends with so many bytes that are not its own. */
#define CHECK_WORD ((size_t)8)

/* A copy of the pointer of which the compiler does not know that it was freed. */
static void *unknown(void *ptr)
{
    __asm__("" : "+r"(ptr));
    return ptr;
}

static struct nh_object look(const void *at)
{
    struct nh_object out = {.struct_size = sizeof(out)};
    errno = UNTOUCHED;
    if (nh_lookup(at, &out) != 0 || errno != UNTOUCHED || out.struct_size != sizeof(out))
        out.what = -1;
    return out;
}

static enum nh_what what(const void *at)
{
    return (enum nh_what)look(at).what;
}

/* ---- before constructors: a handler's table may be empty by then ---- */

static struct nh_object early_stack, early_object;

static void before_constructors(void)
{
    int here = 0;
    early_stack = look(&here);
    void *object = malloc(100);
    early_object = look(object);
    free(object);
}
__attribute__((section(".preinit_array"),
               used)) static void (*const before)(void) = before_constructors;

static void works_before_constructors(void **state)
{
    (void)state;
    assert_int_equal(early_stack.what, NH_NOTHING);
    assert_int_equal(early_object.what, NH_OBJECT);
    assert_in_range(early_object.size, 100, 128);
}

/* ---- what is there ---- */

static void whole_object(const char *object, size_t size, bool small)
{
    struct nh_object first = look(object);
    assert_int_equal(first.what, NH_OBJECT);
    assert_ptr_equal(first.object, object);
    assert_true(first.size >= size);
    size_t usable = malloc_usable_size((void *)object);
    assert_true(hardened() && small ? first.size >= usable : first.size == usable);
    assert_int_equal(first.size_class != 0, small);
    assert_int_equal(first.home_node, nh_node_of(object));
    assert_true(first.home_node >= 0 && first.user_node >= 0);
    assert_true((const char *)first.span <= object);
    assert_true((const char *)first.span + first.span_size >= object + first.size);
    const size_t inside[] = {1, size / 2, first.size - 1};
    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        struct nh_object other = look(object + inside[i]);
        assert_memory_equal(&other, &first, sizeof(first));
    }
    /* One past is another object, or none. */
    const char *end = object + first.size + (hardened() && small ? CHECK_WORD : 0);
    struct nh_object past = look(end);
    assert_true(past.what != NH_OBJECT || past.object == end);
}

static void objects_of_all_sizes(void **state)
{
    (void)state;
    size_t most = hardened() ? SMALL_MOST - CHECK_WORD : SMALL_MOST;
    for (size_t size = 1; size <= most; size += 1 + size / 40) {
        char *object = malloc(size);
        assert_non_null(object);
        whole_object(object, size, true);
        free(object);
    }
    for (size_t size = SMALL_MOST + 1; size < (size_t)64 << 20; size *= 3) {
        char *object = malloc(size);
        assert_non_null(object);
        whole_object(object, size, false);
        assert_ptr_equal(look(object).span, object);
        free(object);
    }
}

static int in_data = 1;

static void what_is_not_ours(void **state)
{
    (void)state;
    int on_stack = 0;
    static const uintptr_t never[] = {
        0,
        1,
        4095,
        8191,
        UINTPTR_MAX,
        UINTPTR_MAX - 8191,
        (uintptr_t)1 << 63,
        0xffff800000000000,
        0xffffffff80000000,
        0x7fffffffffff,
        0x0000ffffffffffff,
        0x0001000000000000,
        0xdeadbeefdeadbeef,
    };
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        struct nh_object out = look((const void *)never[i]);
        assert_int_equal(out.what, NH_NOTHING);
        assert_null(out.object);
        assert_null(out.span);
        assert_int_equal(out.size + out.span_size + out.generation, 0);
        assert_int_equal(out.home_node, -1);
    }
    assert_int_equal(what(&on_stack), NH_NOTHING);
    assert_int_equal(what(&in_data), NH_NOTHING);
    assert_int_equal(what((const void *)(uintptr_t)&what_is_not_ours), NH_NOTHING);
    void *mapped = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(mapped != MAP_FAILED);
    assert_int_equal(what(mapped), NH_NOTHING);
    assert_int_equal(munmap(mapped, 1 << 20), 0);
    assert_int_equal(what(mapped), NH_NOTHING);
    /* No bit above the 48th is overlooked. */
    void *object = malloc(100);
    for (unsigned bit = 48; bit < 64; bit++)
        assert_int_equal(what((const void *)((uintptr_t)object | (uintptr_t)1 << bit)), NH_NOTHING);
    free(object);
}

static void what_was_freed(void **state)
{
    (void)state;
    char *object = malloc(1000);
    char *neighbour = malloc(1000); /* which keeps the span, perhaps */
    struct nh_object before_free = look(object);
    free(object);
    malloc_trim(0); /* out of all caches */
    struct nh_object after = look(unknown(object));
    assert_true(after.what == NH_FREE_OBJECT || after.what == NH_FREE_PAGES);
    if (after.what == NH_FREE_OBJECT) {
        assert_int_equal(after.generation, before_free.generation);
        assert_ptr_equal(after.object, unknown(object));
        assert_int_equal(after.size, before_free.size);
    }
    free(neighbour);

    /* Every page of a large one, which is in a free span now. */
    enum { LARGE = 5 << 20 };
    char *large = malloc(LARGE);
    before_free = look(large);
    free(large);
    large = unknown(large);
    for (size_t at = 0; at < LARGE; at += NH_PAGE_BYTES) {
        after = look(large + at + 1);
        assert_int_equal(after.what, NH_FREE_PAGES);
        assert_null(after.object);
        assert_true((const char *)after.span <= large + at);
        assert_true((const char *)after.span + after.span_size > large + at + 1);
        assert_true(after.generation != before_free.generation || after.span != before_free.span);
    }
}

static void pages(void **state)
{
    (void)state;
    char *buffer = nh_pages_alloc(5, -1);
    assert_non_null(buffer);
    struct nh_object out = look(buffer + 4 * NH_PAGE_BYTES + 17);
    assert_int_equal(out.what, NH_PAGES);
    assert_ptr_equal(out.object, buffer);
    assert_int_equal(out.size, 5 * NH_PAGE_BYTES);
    assert_int_equal(out.size_class, 0);
    assert_int_equal(out.home_node, nh_node_of(buffer));
    nh_pages_free(buffer);
    assert_int_equal(what(unknown(buffer)), NH_FREE_PAGES);
}

static void a_generation_is_an_objects_span(void **state)
{
    (void)state;
    void *a = malloc(3 << 20);
    struct nh_object first = look(a);
    assert_int_equal(look(a).generation, first.generation);
    free(a);
    void *b = malloc(3 << 20);
    struct nh_object second = look(b);
    assert_true(second.span != first.span || second.generation != first.generation);
    free(b);
}

/* The next node after this one, in a circle; their numbers may have gaps. */
static int next_node(int node)
{
    enum { NODES = 1024 };
    struct nh_node_stats stats = {.struct_size = sizeof(stats)};
    do
        node = (node + 1) % NODES;
    while (nh_node_stats_read(node, &stats) != 0);
    return node;
}

/* Addresses that went back to the system may come again, as another node's: with a
 * descriptor of its own, whose versions are about the same. */
static void generations_of_nodes_differ(void **state)
{
    (void)state;
    enum { ROUNDS = 16, BYTES = 64 << 20 };
    static struct nh_object seen[ROUNDS];
    int node = -1, same = 0;
    for (int i = 0; i < ROUNDS; i++) {
        node = next_node(node);
        void *object = nh_malloc_on_node(BYTES, node);
        assert_non_null(object);
        seen[i] = look(object);
        for (int j = 0; j < i; j++) {
            assert_true(seen[j].span != seen[i].span || seen[j].generation != seen[i].generation);
            same += seen[j].span == seen[i].span;
        }
        free(object);
        malloc_trim(0);
    }
    print_message("%d of the same addresses\n", same);
}

static void versions_of_the_struct(void **state)
{
    (void)state;
    void *object = malloc(100);
    struct nh_object out = {.struct_size = sizeof(size_t) - 1};
    errno = 0;
    assert_int_equal(nh_lookup(object, &out), -1);
    assert_int_equal(errno, EINVAL);
    /* An older program's. */
    out = (struct nh_object){.struct_size = offsetof(struct nh_object, span), .what = 77};
    assert_int_equal(nh_lookup(object, &out), 0);
    assert_int_equal(out.struct_size, offsetof(struct nh_object, span));
    assert_ptr_equal(out.object, object);
    assert_int_equal(out.what, 77);
    /* A newer program's. */
    struct {
        struct nh_object known;
        char more[32];
    } newer = {.known = {.struct_size = sizeof(newer)}, .more = "not touched"};
    assert_int_equal(nh_lookup(object, &newer.known), 0);
    assert_int_equal(newer.known.struct_size, sizeof(struct nh_object));
    assert_int_equal(newer.known.what, NH_OBJECT);
    assert_string_equal(newer.more, "not touched");
    free(object);
}

/* ---- threads that never allocated ---- */

static char *shared;

static void *only_looks(void *arg)
{
    struct nh_object out = look(shared + 10);
    *(bool *)arg = out.what == NH_OBJECT && out.object == shared && what(&out) == NH_NOTHING;
    return NULL;
}

static void a_thread_that_never_allocated(void **state)
{
    (void)state;
    shared = malloc(100);
    bool right = false;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, only_looks, &right), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(right);
    free(shared);
}

/* ---- signals ---- */

#define SIGNALS 400
#define HELD    64

static char *held[HELD];
static const size_t held_size[] = {16, 100, 1000, 5000, 40000, 100000, 3000000};
static sem_t handled;
static _Atomic size_t wrong;
static _Atomic bool stop;

static size_t size_of(size_t i)
{
    return held_size[i % (sizeof(held_size) / sizeof(held_size[0]))];
}

static void handler(int signal)
{
    (void)signal;
    int saved = errno;
    for (size_t i = 0; i < HELD; i++) {
        struct nh_object out = look(held[i] + size_of(i) / 2);
        if (out.what != NH_OBJECT || out.object != held[i] || out.size < size_of(i) ||
            nh_node_of(held[i]) != out.home_node)
            atomic_fetch_add(&wrong, 1);
    }
    errno = saved;
    (void)sem_post(&handled);
}

/* Both ways of an object, through all that lies behind malloc. */
static void *churns(void *arg)
{
    (void)arg;
    static const size_t sizes[] = {16, 100, 1000, 9000, 60000, 200000};
    void *objects[100] = {NULL};
    for (size_t i = 0; !atomic_load(&stop); i++) {
        free(objects[i % 100]);
        objects[i % 100] = malloc(sizes[i * 7 % 6]);
        if (i % 1000 == 0)
            malloc_trim(0);
    }
    for (size_t i = 0; i < 100; i++)
        free(objects[i]);
    return NULL;
}

static void in_signal_handlers(void **state)
{
    (void)state;
    assert_int_equal(sem_init(&handled, 0, 0), 0);
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    for (size_t i = 0; i < HELD; i++)
        assert_non_null(held[i] = malloc(size_of(i)));
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churns, NULL), 0);
    for (unsigned i = 0; i < SIGNALS; i++) {
        assert_int_equal(pthread_kill(threads[i % 2], SIGUSR1), 0);
        while (sem_wait(&handled) != 0)
            assert_int_equal(errno, EINTR);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&wrong), 0);
    for (size_t i = 0; i < HELD; i++)
        free(held[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(works_before_constructors),
        cmocka_unit_test(objects_of_all_sizes),
        cmocka_unit_test(what_is_not_ours),
        cmocka_unit_test(what_was_freed),
        cmocka_unit_test(pages),
        cmocka_unit_test(a_generation_is_an_objects_span),
        cmocka_unit_test(generations_of_nodes_differ),
        cmocka_unit_test(versions_of_the_struct),
        cmocka_unit_test(a_thread_that_never_allocated),
        cmocka_unit_test(in_signal_handlers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
