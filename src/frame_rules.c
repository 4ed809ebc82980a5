/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * frame_rules.c - see frame_rules.h.
 *
 * An entry's word: the address but for its low bits, which name the set; the kind; the
 * numbers.  0 is an empty entry.
 */
#include "frame_rules.h"

#define NUMBER_BITS 12
#define KIND_BITS   3
#define RULE_BITS   (KIND_BITS + 2 * NUMBER_BITS)
#define SET_BITS    10
#define IP_BITS     47 /* of a program's addresses, with four levels of page tables */
#define NUMBER_MOST ((1U << NUMBER_BITS) - 1)
NH_STATIC(FRAME_RULES_SETS == 1U << SET_BITS, "low bits name the set");
NH_STATIC(IP_BITS - SET_BITS + RULE_BITS <= 64, "an entry is a word");
NH_STATIC(FRAME_BY_FP < 1U << KIND_BITS, "a kind fits");

static uint64_t tag_of(uintptr_t ip)
{
    return (uint64_t)(ip >> SET_BITS) << RULE_BITS;
}

static uint64_t word_of(uintptr_t ip, struct frame_rule rule)
{
    if (rule.cfa > NUMBER_MOST || rule.fp > NUMBER_MOST)
        rule = (struct frame_rule){.kind = FRAME_ASK};
    return tag_of(ip) | (uint64_t)rule.kind << 2 * NUMBER_BITS | (uint64_t)rule.cfa << NUMBER_BITS |
           rule.fp;
}

/* The way of the address's entry, or FRAME_RULES_WAYS; its word. */
static unsigned find(const _Atomic uint64_t *set, uintptr_t ip, uint64_t *word)
{
    unsigned way = 0;
    for (; way < FRAME_RULES_WAYS; way++) {
        *word = atomic_load_explicit(&set[way], memory_order_relaxed);
        if (*word != 0 && (*word ^ tag_of(ip)) >> RULE_BITS == 0)
            break;
    }
    return way;
}

struct frame_rule frame_rules_get(const struct frame_rules *rules, uintptr_t ip)
{
    uint64_t word;
    const _Atomic uint64_t *set = rules->entry[ip % FRAME_RULES_SETS];
    if (ip >> IP_BITS != 0 || find(set, ip, &word) == FRAME_RULES_WAYS)
        return (struct frame_rule){.kind = FRAME_UNKNOWN};
    return (struct frame_rule){.kind = word >> 2 * NUMBER_BITS & ((1U << KIND_BITS) - 1),
                               .cfa = (uint16_t)(word >> NUMBER_BITS & NUMBER_MOST),
                               .fp = (uint16_t)(word & NUMBER_MOST)};
}

static unsigned empty_way(const _Atomic uint64_t *set)
{
    unsigned way = 0;
    while (way < FRAME_RULES_WAYS && atomic_load_explicit(&set[way], memory_order_relaxed) != 0)
        way++;
    return way;
}

void frame_rules_put(struct frame_rules *rules, uintptr_t ip, struct frame_rule rule)
{
    uint64_t word;
    _Atomic uint64_t *set = rules->entry[ip % FRAME_RULES_SETS];
    if (ip >> IP_BITS != 0)
        return;
    unsigned way = find(set, ip, &word);
    if (way == FRAME_RULES_WAYS) {
        if (rule.kind == FRAME_UNKNOWN)
            return;
        way = empty_way(set);
    }
    if (way == FRAME_RULES_WAYS)
        way = ip / FRAME_RULES_SETS % FRAME_RULES_WAYS;
    atomic_store_explicit(&set[way], rule.kind == FRAME_UNKNOWN ? 0 : word_of(ip, rule),
                          memory_order_relaxed);
}
