/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit_moves.c - large objects grow by moves for as long as the process has few mappings, and
 * again when it has few again.  The linker puts functions of this file before the system's.
 */
#include "unit.h"

#include "heap.h"
#include "large.h"
#include "limits.h"
#include "moves.h"
#include "numa/placement.h"
#include "os.h"

static size_t mappings = 100;
static unsigned counts;
static size_t moved;
static bool refuses; /* to move */
static const void *assigned;
static size_t assigned_bytes;

size_t __wrap_os_mappings(size_t most);
size_t __wrap_os_mappings(size_t most)
{
    counts++;
    return mappings > most ? most + 1 : mappings;
}

bool __real_os_move_pages(void *from, void *to, size_t bytes);
bool __wrap_os_move_pages(void *from, void *to, size_t bytes);
bool __wrap_os_move_pages(void *from, void *to, size_t bytes)
{
    if (refuses)
        return false;
    bool done = __real_os_move_pages(from, to, bytes);
    moved += done;
    return done;
}

void __real_placement_assign(void *at, size_t bytes, unsigned slot);
void __wrap_placement_assign(void *at, size_t bytes, unsigned slot);
void __wrap_placement_assign(void *at, size_t bytes, unsigned slot)
{
    assigned = at;
    assigned_bytes = bytes;
    __real_placement_assign(at, bytes, slot);
}

static unsigned taken(unsigned times)
{
    unsigned all = 0;
    for (unsigned i = 0; i < times; i++)
        all += moves_take();
    return all;
}

static void as_long_as_mappings_are_few(void **state)
{
    (void)state;
    assert_int_equal(taken(3 * MOVES_PERIOD), 3 * MOVES_PERIOD);
    assert_int_equal(counts, 3);
    mappings = MOVES_MAPPINGS_MOST + 1;
    assert_int_equal(taken(2 * MOVES_PERIOD), 0);
    assert_int_equal(counts, 5);
    /* The kernel does not tell. */
    mappings = SIZE_MAX;
    assert_int_equal(taken(MOVES_PERIOD), 0);
    mappings = MOVES_MAPPINGS_MOST;
    assert_int_equal(taken(2 * MOVES_PERIOD), 2 * MOVES_PERIOD);
}

static bool system_moves(void)
{
    void *from = os_map(NH_HUGE, NH_SYSTEM_PAGE, 0), *to = os_map(NH_HUGE, NH_SYSTEM_PAGE, 0);
    assert_true(from != NULL && to != NULL);
    bool moves = __real_os_move_pages(from, to, NH_HUGE);
    assert_true(os_unmap(from, NH_HUGE) && os_unmap(to, NH_HUGE));
    return moves;
}

/* However many there were before. */
static void objects_move(void **state)
{
    enum { BYTES = 3 << 20, TIMES = 5 };
    bool zeroed;
    (void)state;
    if (!system_moves())
        skip();
    (void)taken(4 * MOVES_PERIOD);
    for (unsigned i = 0; i < TIMES; i++) {
        unsigned char *object = large_alloc(large_heap(BYTES), BYTES, NH_PAGE, &zeroed);
        assert_non_null(object);
        memset(object, (int)i + 1, BYTES);
        void *behind = large_alloc(large_heap(BYTES), BYTES, NH_PAGE, &zeroed);
        size_t had = moved;
        unsigned char *grown = large_realloc(object, (size_t)BYTES << 4);
        assert_non_null(grown);
        if (grown != object)
            assert_int_equal(moved, had + 1);
        for (size_t at = 0; at < BYTES; at++)
            assert_int_equal(grown[at], i + 1);
        large_free(grown);
        large_free(behind);
    }
    assert_true(moved > 0);
}

/* It may have been mapped anew meanwhile. */
static void a_target_that_pages_cannot_move_to_has_its_node(void **state)
{
    enum { BYTES = 3 << 20 };
    bool zeroed;
    (void)state;
    unsigned char *object = large_alloc(large_heap(BYTES), BYTES, NH_PAGE, &zeroed);
    void *behind = large_alloc(large_heap(BYTES), BYTES, NH_PAGE, &zeroed);
    assert_true(object != NULL && behind != NULL);
    memset(object, 5, BYTES);
    refuses = true;
    unsigned char *grown = large_realloc(object, (size_t)BYTES << 4);
    refuses = false;
    assert_non_null(grown);
    if (grown != object) {
        assert_ptr_equal(assigned, grown);
        assert_int_equal(assigned_bytes, BYTES);
    }
    for (size_t at = 0; at < BYTES; at++)
        assert_int_equal(grown[at], 5);
    large_free(grown);
    large_free(behind);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_long_as_mappings_are_few),
        cmocka_unit_test(objects_move),
        cmocka_unit_test(a_target_that_pages_cannot_move_to_has_its_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
