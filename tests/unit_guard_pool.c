/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit_guard_pool.c - slots come in the order that a model says, objects lie within their slots,
 * aligned and at an end, and addresses are told apart by where they are.
 */
#include "guard_pool.h"

#include "unit.h"

#define HEAPS 3

/* The model: slots in the order in which they became free, those that were never used first. */
struct model {
    unsigned queue[NH_GUARD_SLOTS];
    unsigned heap[NH_GUARD_SLOTS]; /* of queue's */
    unsigned count, unused;
    bool out[NH_GUARD_SLOTS];
};

static void take_one(struct guard_pool *pool, struct model *model, unsigned heap)
{
    unsigned expected = GUARD_NO_SLOT;
    if (model->unused < NH_GUARD_SLOTS) {
        expected = model->unused++;
    } else if (model->count != 0) {
        unsigned at = 0;
        for (unsigned i = model->count; i-- > 0;)
            if (model->heap[i] == heap)
                at = i;
        expected = model->queue[at];
        model->count--;
        for (; at < model->count; at++) {
            model->queue[at] = model->queue[at + 1];
            model->heap[at] = model->heap[at + 1];
        }
    }
    assert_int_equal(guard_pool_take(pool, heap), expected);
    if (expected != GUARD_NO_SLOT) {
        assert_false(model->out[expected]);
        model->out[expected] = true;
    }
}

static void put_one(struct guard_pool *pool, struct model *model, unsigned heap, uint64_t *random)
{
    unsigned slot = (unsigned)random_below(random, NH_GUARD_SLOTS);
    for (unsigned i = 0; i < NH_GUARD_SLOTS; i++, slot = (slot + 1) % NH_GUARD_SLOTS)
        if (model->out[slot]) {
            guard_pool_put(pool, slot, heap);
            model->out[slot] = false;
            model->heap[model->count] = heap;
            model->queue[model->count++] = slot;
            return;
        }
}

static void order(void **state)
{
    (void)state;
    uint64_t random = 7;
    for (unsigned round = 0; round < 20; round++) {
        struct guard_pool pool = {0};
        struct model model = {0};
        /* More of the one or of the other, so that it runs empty and full. */
        for (unsigned step = 0; step < 20000; step++) {
            unsigned heap = (unsigned)random_below(&random, HEAPS);
            if (random_below(&random, 100) < (step / 1000 % 2 == 0 ? 60 : 40))
                take_one(&pool, &model, heap);
            else
                put_one(&pool, &model, heap, &random);
        }
    }
}

static void all_at_once(void **state)
{
    (void)state;
    struct guard_pool pool = {0};
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < NH_GUARD_SLOTS; i++)
            assert_int_equal(guard_pool_take(&pool, 0), i);
        assert_int_equal(guard_pool_take(&pool, 0), GUARD_NO_SLOT);
        for (unsigned i = 0; i < NH_GUARD_SLOTS; i++)
            guard_pool_put(&pool, i, 0);
    }
}

static void check_place(size_t size, size_t alignment, size_t unit, uintptr_t base)
{
    struct guard_cut cut;
    guard_cut_for(size, alignment, unit, base, &cut);
    assert_true(cut.lead >= unit && cut.lead % unit == 0 && (base + cut.lead) % alignment == 0);
    assert_true(cut.lead < unit + alignment);
    assert_true(cut.trail >= unit && cut.trail % unit == 0);
    assert_true(cut.room % unit == 0 && cut.room >= size && cut.room - size < unit);
    assert_int_equal(guard_cut_bytes(&cut), cut.lead + cut.room + cut.trail);
    if (size <= NH_CLASS_MAX && alignment <= unit)
        assert_in_range(guard_cut_bytes(&cut), 3 * unit, guard_cut_most(unit));

    assert_int_equal(guard_offset(&cut, size, alignment, false), cut.lead);
    size_t at_end = guard_offset(&cut, size, alignment, true);
    assert_true(at_end >= cut.lead && (base + at_end) % alignment == 0);
    assert_true(at_end + size <= cut.lead + cut.room);
    assert_true(cut.lead + cut.room - (at_end + size) < (alignment < unit ? alignment : unit));
}

static void places(void **state)
{
    (void)state;
    static const size_t units[] = {8192, 16384, 65536};
    for (size_t u = 0; u < sizeof units / sizeof *units; u++)
        for (size_t size = 1; size <= NH_CLASS_MAX; size = size < 300 ? size + 1 : size * 9 / 8) {
            check_place(size, NH_GRAIN, units[u], 0);
            for (size_t alignment = NH_GRAIN; alignment <= NH_CLASS_MAX; alignment *= 2)
                for (uintptr_t base = 0; base < 2 * alignment; base += units[u])
                    check_place(size, alignment, units[u], base);
        }
}

static void addresses(void **state)
{
    (void)state;
    static const struct {
        uintptr_t address;
        enum guard_where where;
        size_t distance;
    } cases[] = {{0, GUARD_BEFORE, 0x1000},   {0xfff, GUARD_BEFORE, 1},  {0x1000, GUARD_INSIDE, 0},
                 {0x1063, GUARD_INSIDE, 99},  {0x1064, GUARD_BEHIND, 0}, {0x1070, GUARD_BEHIND, 12},
                 {0x2000, GUARD_BEHIND, 3996}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t distance = SIZE_MAX;
        assert_int_equal(guard_where(0x1000, 100, cases[i].address, &distance), cases[i].where);
        assert_int_equal(distance, cases[i].distance);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order),
        cmocka_unit_test(all_at_once),
        cmocka_unit_test(places),
        cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
