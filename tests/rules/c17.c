/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * c17.c - tests of what C17 says of all memory management functions (7.22.3), a test for
 * each rule; rules.def tells what they say.
 */
#include "rules.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

/* ---- 7.22.3 ---- */

struct piece {
    unsigned char *at;
    size_t size;
};

static int by_address(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

void c17_7_22_3_objects_are_disjoint(void **state)
{
    (void)state;
    enum { EACH = 20 };
    static struct piece pieces[EACH * 64];
    size_t count = 0;
    for (size_t round = 0; round < EACH; round++)
        for (size_t i = 0; i < rules_size_count && rules_sizes[i] <= 1000000; i++) {
            pieces[count] = (struct piece){malloc(rules_sizes[i]), rules_sizes[i]};
            assert_non_null(pieces[count].at);
            count++;
        }
    qsort(pieces, count, sizeof(*pieces), by_address);
    for (size_t i = 1; i < count; i++)
        assert_true(pieces[i - 1].at + pieces[i - 1].size <= pieces[i].at);
    for (size_t i = 0; i < count; i++)
        free(pieces[i].at);
}

void c17_7_22_3_alignment_is_that_of_any_type_that_fits(void **state)
{
    (void)state;
    void *kept[16];
    for (size_t size = 1; size < 5000; size++) {
        size_t alignment = _Alignof(max_align_t);
        while (alignment > size)
            alignment /= 2;
        /* Several, since the first of a page is aligned by chance. */
        for (size_t i = 0; i < 16; i++) {
            kept[i] = i % 2 == 0 ? malloc(size) : calloc(size, 1);
            rules_check_aligned(kept[i], alignment);
        }
        for (size_t i = 0; i < 16; i++)
            free(kept[i]);
    }
}

void c17_7_22_3_pointer_is_to_the_lowest_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < rules_size_count; i++) {
        size_t size = rules_sizes[i];
        unsigned char *below = malloc(size), *at = malloc(size), *above = malloc(size);
        rules_fill(below, size, 1);
        rules_fill(above, size, 2);
        rules_fill(at, size, 3);
        rules_check(below, size, 1);
        rules_check(above, size, 2);
        rules_check(at, size, 3);
        free(below);
        free(at);
        free(above);
    }
}

void c17_7_22_3_contents_last_until_deallocation(void **state)
{
    (void)state;
    void *kept[64];
    for (size_t i = 0; i < rules_size_count; i++) {
        kept[i] = malloc(rules_sizes[i]);
        rules_fill(kept[i], rules_sizes[i], (unsigned)i);
    }
    for (unsigned round = 0; round < 1000; round++) {
        size_t size = rules_sizes[round % rules_size_count];
        void *other = malloc(size);
        memset(other, 0xee, size);
        free(other);
    }
    for (size_t i = 0; i < rules_size_count; i++) {
        rules_check(kept[i], rules_sizes[i], (unsigned)i);
        free(kept[i]);
    }
}

void c17_7_22_3_without_space_the_result_is_null(void **state)
{
    (void)state;
    /* More than there are addresses for. */
    size_t size = rules_opaque((size_t)1 << 60);
    assert_null(malloc(size));
    assert_null(calloc(size, 1));
    assert_null(realloc(NULL, size));
    assert_null(aligned_alloc(64, size));
}

void c17_7_22_3_size_zero_is_null_or_an_object(void **state)
{
    (void)state;
    void *results[] = {malloc(0), calloc(0, 0), realloc(NULL, 0), aligned_alloc(64, 0), malloc(0)};
    for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++)
        for (size_t j = 0; j < i; j++)
            assert_true(results[i] == NULL || results[i] != results[j]);
    for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++)
        free(results[i]);
}

enum { RACERS = 4, RACES = 20000 };

/* What a thread found wrong, since only the main thread may fail a test. */
static _Atomic unsigned wrong;

static void *allocate_alone(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    void *kept[32] = {NULL};
    size_t sizes[32] = {0};
    for (unsigned round = 0; round < RACES; round++) {
        size_t i = round % 32;
        if (kept[i] != NULL) {
            const unsigned char *bytes = kept[i];
            if (bytes[0] != (unsigned char)seed || bytes[sizes[i] - 1] != (unsigned char)seed)
                atomic_fetch_add(&wrong, 1);
        }
        sizes[i] = 1 + (round * 37 + seed * 101) % (round % 100 == 0 ? 100000 : 2000);
        if (round % 3 == 0) {
            kept[i] = realloc(kept[i], sizes[i]);
        } else {
            free(kept[i]);
            kept[i] = malloc(sizes[i]);
        }
        memset(kept[i], (int)seed, sizes[i]);
    }
    for (size_t i = 0; i < 32; i++)
        free(kept[i]);
    return NULL;
}

void c17_7_22_3_threads_do_not_race(void **state)
{
    (void)state;
    pthread_t threads[RACERS];
    wrong = 0;
    for (uintptr_t i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_alone, (void *)(i + 1)), 0);
    for (size_t i = 0; i < RACERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(wrong, 0);
}

/* Objects go from thread to thread by the allocator alone: what one freed, another gets.
 * All write the whole object, so that a writer that comes late is seen; the thread
 * sanitizer also sees what is not ordered. */
static void *pass_on(void *arg)
{
    unsigned char mine = (unsigned char)(uintptr_t)arg;
    for (unsigned round = 0; round < RACES / 20; round++) {
        unsigned char *batch[100];
        for (size_t i = 0; i < 100; i++) {
            batch[i] = malloc(200);
            memset(batch[i], mine, 200);
        }
        for (size_t i = 0; i < 100; i++) {
            for (size_t k = 0; k < 200; k++)
                if (batch[i][k] != mine)
                    atomic_fetch_add(&wrong, 1);
            free(batch[i]);
        }
    }
    return NULL;
}

void c17_7_22_3_deallocation_happens_before_the_next_allocation(void **state)
{
    (void)state;
    pthread_t threads[RACERS];
    wrong = 0;
    for (uintptr_t i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pass_on, (void *)(i + 1)), 0);
    for (size_t i = 0; i < RACERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(wrong, 0);
}

/* ---- objects of other threads ---- */

enum { PARCELS = 10000, SLOTS = 64 };

/* At the beginning of an object that is handed over; the rest is filled. */
struct parcel {
    size_t size; /* of all */
    unsigned seed;
    unsigned char filled[];
};
#define PARCEL_FILLED(parcel) ((parcel)->size - offsetof(struct parcel, filled))

static struct parcel *_Atomic slots[SLOTS];

/* Frees what another thread allocates.  What is done to an object before is ordered by the
 * allocator alone: the thread that fills its memory again waits for the slot to be empty, not
 * for what comes behind that. */
static void *receive(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < PARCELS; i++) {
        struct parcel *parcel;
        while ((parcel = atomic_load_explicit(&slots[i % SLOTS], memory_order_acquire)) == NULL)
            sched_yield();
        atomic_store_explicit(&slots[i % SLOTS], NULL, memory_order_relaxed);
        if (i % 8 == 0) { /* others' objects are resized, too */
            size_t filled = PARCEL_FILLED(parcel);
            parcel = realloc(parcel, parcel->size * 2);
            if (!rules_is_filled(parcel->filled, filled, parcel->seed))
                atomic_fetch_add(&wrong, 1);
        } else if (!rules_is_filled(parcel->filled, PARCEL_FILLED(parcel), parcel->seed)) {
            atomic_fetch_add(&wrong, 1);
        }
        memset(parcel, 0xee, parcel->size);
        free(parcel);
    }
    return NULL;
}

void c17_7_22_3_another_thread_may_free_an_object(void **state)
{
    (void)state;
    static const size_t sizes[] = {40, 100, 1000, 5000, 20000, 70000};
    wrong = 0;
    size_t before = resident_bytes();
    pthread_t receiver;
    assert_int_equal(pthread_create(&receiver, NULL, receive, NULL), 0);
    for (size_t i = 0; i < PARCELS; i++) {
        size_t size = sizes[i % (sizeof(sizes) / sizeof(*sizes))];
        struct parcel *parcel = rules_givers[i % RULES_GIVERS].give(size);
        assert_non_null(parcel);
        parcel->size = size;
        parcel->seed = (unsigned)i;
        rules_fill(parcel->filled, PARCEL_FILLED(parcel), parcel->seed);
        while (atomic_load_explicit(&slots[i % SLOTS], memory_order_relaxed) != NULL)
            sched_yield();
        atomic_store_explicit(&slots[i % SLOTS], parcel, memory_order_release);
    }
    assert_int_equal(pthread_join(receiver, NULL), 0);
    assert_int_equal(wrong, 0);
    rules_check_resident(before);
}
