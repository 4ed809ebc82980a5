/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit_moves.c - large objects grow by moves for as long as the process has few mappings, and
 * again when it has few again.  The linker puts functions of this file before the system's.
 */
#include "stay.h"
#include "unit.h"

#include "heap.h"
#include "large.h"
#include "limits.h"
#include "moves.h"
#include "numa/placement.h"
#include "os.h"

#include <sys/mman.h>

static size_t mappings = 100;
static unsigned counts;
static size_t moved;
static bool refused, renewed; /* moves, and what the target is then */
static const void *assigned;
static size_t assigned_bytes;
static unsigned assignments;

size_t __wrap_os_mappings(size_t most);
size_t __wrap_os_mappings(size_t most)
{
    counts++;
    return mappings > most ? most + 1 : mappings;
}

static size_t part = SIZE_MAX; /* no more is moved */

size_t __real_os_move_pages(void *from, void *to, size_t bytes, bool *anew);
size_t __wrap_os_move_pages(void *from, void *to, size_t bytes, bool *anew);
size_t __wrap_os_move_pages(void *from, void *to, size_t bytes, bool *anew)
{
    *anew = renewed;
    if (refused)
        return 0;
    size_t done = __real_os_move_pages(from, to, bytes < part ? bytes : part, anew);
    moved += done == bytes;
    return done;
}

void __real_placement_assign(void *at, size_t bytes, unsigned slot);
void __wrap_placement_assign(void *at, size_t bytes, unsigned slot);
void __wrap_placement_assign(void *at, size_t bytes, unsigned slot)
{
    assignments++;
    assigned = at;
    assigned_bytes = bytes;
    __real_placement_assign(at, bytes, slot);
}

static bool by_default;
bool __wrap_os_huge_by_default(void);
bool __wrap_os_huge_by_default(void)
{
    return by_default;
}

/* Whether the kernel may put huge pages under what the heap has, and gets. */
static void set_huge(struct heap *heap, bool may)
{
    by_default = may;
    atomic_store(&heap->pages.may_be_huge, may);
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
    bool anew;
    char *from = os_map(NH_HUGE, NH_SYSTEM_PAGE, 0), *to = os_map(NH_HUGE, NH_SYSTEM_PAGE, 0);
    assert_true(from != NULL && to != NULL);
    bool moves = __real_os_move_pages(from, to, NH_HUGE, &anew) == NH_HUGE;
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
    set_huge(large_heap(BYTES), false);
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

/* An object that is to move and cannot: returns where it is now, NULL where it grew in place. */
static unsigned char *cannot_move(bool anew, size_t bytes)
{
    bool zeroed;
    unsigned char *object = large_alloc(large_heap(bytes), bytes, NH_PAGE, &zeroed);
    void *behind = large_alloc(large_heap(bytes), bytes, NH_PAGE, &zeroed);
    assert_true(object != NULL && behind != NULL);
    memset(object, 5, bytes);
    large_free(large_alloc(large_heap(bytes), bytes << 5, NH_PAGE, &zeroed)); /* is mapped */
    set_huge(large_heap(bytes), false);
    assignments = 0;
    refused = true;
    renewed = anew;
    unsigned char *grown = large_realloc(object, bytes << 4);
    refused = renewed = false;
    assert_non_null(grown);
    for (size_t at = 0; at < bytes; at++)
        assert_int_equal(grown[at], 5);
    large_free(behind);
    large_free(grown);
    return grown != object ? grown : NULL;
}

static void a_target_that_is_mapped_anew_has_its_node(void **state)
{
    enum { BYTES = 3 << 20 };
    (void)state;
    const void *grown = cannot_move(true, BYTES);
    assert_non_null(grown);
    assert_int_equal(assignments, 1);
    assert_ptr_equal(assigned, grown);
    assert_int_equal(assigned_bytes, BYTES);
    assert_non_null(cannot_move(false, BYTES));
    assert_int_equal(assignments, 0);
}

/* The rest is copied. */
static void what_moves_in_part_is_whole(void **state)
{
    enum { BYTES = 3 << 20 };
    bool zeroed;
    (void)state;
    struct heap *heap = large_heap(BYTES);
    set_huge(heap, false);
    unsigned char *object = large_alloc(heap, BYTES, NH_PAGE, &zeroed);
    void *behind = large_alloc(heap, BYTES, NH_PAGE, &zeroed);
    assert_true(object != NULL && behind != NULL);
    for (size_t at = 0; at < BYTES; at++)
        object[at] = (unsigned char)(at / 251);
    part = (size_t)1 << 20;
    unsigned char *grown = large_realloc(object, (size_t)BYTES << 4);
    part = SIZE_MAX;
    assert_non_null(grown);
    for (size_t at = 0; at < BYTES; at++)
        assert_int_equal(grown[at], (unsigned char)(at / 251));
    /* What was left behind is not taken for zero. */
    unsigned char *clean = large_alloc(heap, BYTES, NH_PAGE, &zeroed);
    assert_non_null(clean);
    for (size_t at = 0; zeroed && at < BYTES; at++)
        assert_int_equal(clean[at], 0);
    large_free(clean);
    large_free(behind);
    large_free(grown);
}

/* Huge pages do not move to where they would not lie as they do. */
static void what_may_be_huge_is_moved_whole(void **state)
{
    enum { BYTES = 5 << 20 };
    bool zeroed;
    (void)state;
    if (!system_moves())
        skip();
    struct heap *heap = large_heap(BYTES);
    set_huge(heap, true);
    /* One of two that lie side by side is no whole number of huge pages from the other. */
    unsigned char *two[2], *behind = NULL;
    for (unsigned i = 0; i < 2; i++) {
        two[i] = large_alloc(heap, BYTES + NH_PAGE, NH_PAGE, &zeroed);
        behind = large_alloc(heap, BYTES, NH_PAGE, &zeroed);
        assert_true(two[i] != NULL && behind != NULL);
    }
    unsigned char *object = two[(uintptr_t)two[0] % NH_HUGE == 0];
    memset(object, 6, BYTES);
    moved = 0;
    unsigned char *grown = large_realloc(object, (size_t)BYTES * 4);
    assert_true(grown != NULL && grown != object);
    assert_int_equal((uintptr_t)grown % NH_HUGE, 0);
    assert_int_equal(moved, 0);
    unsigned char *again = large_realloc(grown, (size_t)BYTES * 20);
    assert_true(again != NULL && again != grown);
    assert_int_equal((uintptr_t)again % NH_HUGE, 0);
    assert_int_equal(moved, 1);
    for (size_t at = 0; at < BYTES; at++)
        assert_int_equal(again[at], 6);
    large_free(again);
}

/* On one CPU, and so of one node: else what is allocated after an object is not behind it. */
static int stay(void **state)
{
    (void)state;
    (void)stay_here();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_long_as_mappings_are_few),
        cmocka_unit_test(objects_move),
        cmocka_unit_test(a_target_that_is_mapped_anew_has_its_node),
        cmocka_unit_test(what_moves_in_part_is_whole),
        cmocka_unit_test(what_may_be_huge_is_moved_whole),
    };
    return cmocka_run_group_tests(tests, stay, NULL);
}
