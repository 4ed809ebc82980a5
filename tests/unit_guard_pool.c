/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit_guard_pool.c - slots come in the order that a model says, objects lie within their slots,
 * aligned and at an end, and addresses are told apart by where they are.
 */
#include "guard_pool.h"

#include "unit.h"

/* The model: slots in the order in which they will come, those that were never used first. */
struct model {
    unsigned queue[NH_GUARD_SLOTS];
    unsigned count, unused;
    bool out[NH_GUARD_SLOTS];
};

static void take_one(struct guard_pool *pool, struct model *model)
{
    unsigned expected = GUARD_NO_SLOT;
    if (model->unused < NH_GUARD_SLOTS) {
        expected = model->unused++;
    } else if (model->count != 0) {
        expected = model->queue[0];
        model->count--;
        memmove(model->queue, model->queue + 1, model->count * sizeof model->queue[0]);
    }
    assert_int_equal(guard_pool_take(pool), expected);
    if (expected != GUARD_NO_SLOT) {
        assert_false(model->out[expected]);
        model->out[expected] = true;
    }
}

static void put_one(struct guard_pool *pool, struct model *model, uint64_t *random)
{
    unsigned slot = (unsigned)random_below(random, NH_GUARD_SLOTS);
    for (unsigned i = 0; i < NH_GUARD_SLOTS; i++, slot = (slot + 1) % NH_GUARD_SLOTS)
        if (model->out[slot]) {
            guard_pool_put(pool, slot);
            model->out[slot] = false;
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
            if (random_below(&random, 100) < (step / 1000 % 2 == 0 ? 60 : 40))
                take_one(&pool, &model);
            else
                put_one(&pool, &model, &random);
        }
    }
}

static void all_at_once(void **state)
{
    (void)state;
    struct guard_pool pool = {0};
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < NH_GUARD_SLOTS; i++)
            assert_int_equal(guard_pool_take(&pool), i);
        assert_int_equal(guard_pool_take(&pool), GUARD_NO_SLOT);
        for (unsigned i = 0; i < NH_GUARD_SLOTS; i++)
            guard_pool_put(&pool, i);
    }
}

static void check_place(size_t size, size_t alignment, size_t unit)
{
    struct guard_cut cut;
    guard_cut_for(size, alignment, unit, &cut);
    assert_true(cut.lead >= unit && cut.lead % unit == 0 && cut.lead % alignment == 0);
    assert_true(cut.trail >= unit && cut.trail % unit == 0);
    assert_true(cut.room % unit == 0 && cut.room >= size && cut.room - size < unit);
    assert_int_equal(guard_cut_bytes(&cut), cut.lead + cut.room + cut.trail);
    assert_true(guard_cut_same(&cut, &cut));

    assert_int_equal(guard_offset(&cut, size, alignment, false), cut.lead);
    size_t at_end = guard_offset(&cut, size, alignment, true);
    assert_true(at_end >= cut.lead && at_end % alignment == 0);
    assert_true(at_end + size <= cut.lead + cut.room);
    assert_true(cut.lead + cut.room - (at_end + size) < alignment);
}

static void places(void **state)
{
    (void)state;
    static const size_t units[] = {8192, 16384, 65536};
    for (size_t u = 0; u < sizeof units / sizeof *units; u++)
        for (size_t size = 1; size <= NH_CLASS_MAX; size = size < 300 ? size + 1 : size * 9 / 8) {
            check_place(size, NH_GRAIN, units[u]);
            for (size_t alignment = NH_GRAIN; alignment <= NH_CLASS_MAX; alignment *= 2)
                if (round_up(size, alignment) <= NH_CLASS_MAX)
                    check_place(round_up(size, alignment), alignment, units[u]);
        }
}

static void cuts_differ(void **state)
{
    (void)state;
    struct guard_cut one, other;
    guard_cut_for(100, 16, 8192, &one);
    guard_cut_for(8192, 8192, 8192, &other);
    assert_true(guard_cut_same(&one, &other));
    guard_cut_for(8193, 16, 8192, &other);
    assert_false(guard_cut_same(&one, &other));
    guard_cut_for(16384, 16384, 8192, &one);
    assert_false(guard_cut_same(&one, &other)); /* the lead */
    guard_cut_for(100, 16, 16384, &one);
    assert_false(guard_cut_same(&one, &other));
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
        cmocka_unit_test(order),       cmocka_unit_test(all_at_once), cmocka_unit_test(places),
        cmocka_unit_test(cuts_differ), cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
