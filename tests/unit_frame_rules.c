/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * unit_frame_rules.c - rules of frames as they are kept: what was put, in place of what was
 * there, numbers at their bounds, and more addresses than there is room for.  How they are
 * read is tested by what comes of them (unit_profile_frames.c).
 */
#include "unit.h"

#include "frame_rules.h"

static struct frame_rules rules;

static int forget(void **state)
{
    (void)state;
    memset(&rules, 0, sizeof rules);
    return 0;
}

static void same(struct frame_rule a, struct frame_rule b)
{
    assert_int_equal(a.kind, b.kind);
    assert_int_equal(a.cfa, b.cfa);
    assert_int_equal(a.fp, b.fp);
}

static void what_was_put(void **state)
{
    (void)state;
    static const struct frame_rule some[] = {
        {.kind = FRAME_ASK},
        {.kind = FRAME_LAST},
        {.kind = FRAME_BY_SP, .cfa = 1},
        {.kind = FRAME_BY_SP, .cfa = 4095, .fp = 4095},
        {.kind = FRAME_BY_FP, .cfa = 2, .fp = 2},
    };
    enum { COUNT = sizeof some / sizeof *some };
    for (uintptr_t i = 0; i < COUNT; i++)
        frame_rules_put(&rules, 0x401000 + i, some[i]);
    for (uintptr_t i = 0; i < COUNT; i++)
        same(frame_rules_get(&rules, 0x401000 + i), some[i]);
    assert_int_equal(frame_rules_get(&rules, 0x401000 + COUNT).kind, FRAME_UNKNOWN);
    assert_int_equal(frame_rules_get(&rules, 0).kind, FRAME_UNKNOWN);
}

static void instead_of_what_was_there(void **state)
{
    (void)state;
    struct frame_rule first = {.kind = FRAME_BY_SP, .cfa = 3}, second = {.kind = FRAME_LAST};
    frame_rules_put(&rules, 0x7fffffffffff, first);
    frame_rules_put(&rules, 0x7fffffffffff, second);
    same(frame_rules_get(&rules, 0x7fffffffffff), second);
    frame_rules_put(&rules, 0x7fffffffffff, (struct frame_rule){.kind = FRAME_UNKNOWN});
    assert_int_equal(frame_rules_get(&rules, 0x7fffffffffff).kind, FRAME_UNKNOWN);
    frame_rules_put(&rules, 0x401000, (struct frame_rule){.kind = FRAME_UNKNOWN});
    assert_int_equal(frame_rules_get(&rules, 0x401000).kind, FRAME_UNKNOWN);
}

static void what_does_not_fit(void **state)
{
    (void)state;
    frame_rules_put(&rules, 0x401000, (struct frame_rule){.kind = FRAME_BY_SP, .cfa = 4096});
    assert_int_equal(frame_rules_get(&rules, 0x401000).kind, FRAME_ASK);
    frame_rules_put(&rules, 0x402000,
                    (struct frame_rule){.kind = FRAME_BY_FP, .cfa = 2, .fp = 4096});
    assert_int_equal(frame_rules_get(&rules, 0x402000).kind, FRAME_ASK);
    uintptr_t high = UINTPTR_MAX - 0xfff;
    frame_rules_put(&rules, high, (struct frame_rule){.kind = FRAME_LAST});
    assert_int_equal(frame_rules_get(&rules, high).kind, FRAME_UNKNOWN);
}

static struct frame_rule made_of(uintptr_t ip)
{
    return (struct frame_rule){.kind = FRAME_BY_SP, .cfa = (uint16_t)(ip % 4095 + 1)};
}

/* Whatever is still known is right, and most of what there is room for is known. */
static void more_than_there_is_room_for(void **state)
{
    (void)state;
    enum { ROOM = FRAME_RULES_SETS * FRAME_RULES_WAYS, ADDRESSES = 4 * ROOM };
    static uintptr_t ip[ADDRESSES];
    uint64_t random = 7;
    for (size_t i = 0; i < ADDRESSES; i++) {
        ip[i] = (uintptr_t)(random_next(&random) >> 17); /* 47 bits */
        frame_rules_put(&rules, ip[i], made_of(ip[i]));
    }
    size_t known = 0;
    for (size_t i = 0; i < ADDRESSES; i++) {
        struct frame_rule rule = frame_rules_get(&rules, ip[i]);
        if (rule.kind == FRAME_UNKNOWN)
            continue;
        same(rule, made_of(ip[i]));
        known++;
    }
    assert_in_range(known, ROOM * 9 / 10, ROOM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_was_put, forget),
        cmocka_unit_test_setup(instead_of_what_was_there, forget),
        cmocka_unit_test_setup(what_does_not_fit, forget),
        cmocka_unit_test_setup(more_than_there_is_room_for, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
