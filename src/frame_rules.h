/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * frame_rules.h - rules of frames (frame_rule.h), kept by return address.
 *
 * A set is a cache line; a new rule displaces any of a full one.  An entry is one relaxed
 * atomic word, so threads need no order: what one put gets lost at worst.
 *
 * Pure; async-signal-safe.
 */
#ifndef NH_FRAME_RULES_H
#define NH_FRAME_RULES_H

#include "frame_rule.h"
#include "limits.h"

#include <stdatomic.h>

#define FRAME_RULES_WAYS (NH_CACHE_LINE / sizeof(uint64_t))
#define FRAME_RULES_SETS 1024

struct frame_rules {
    _Atomic uint64_t entry[FRAME_RULES_SETS][FRAME_RULES_WAYS];
} __attribute__((aligned(NH_CACHE_LINE)));

/* FRAME_UNKNOWN when there is none for this return address. */
struct frame_rule frame_rules_get(const struct frame_rules *rules, uintptr_t ip);
/* In place of what was there; FRAME_UNKNOWN forgets it.  Numbers too large to be kept, of
 * frames and of addresses, are FRAME_ASK and nothing. */
void frame_rules_put(struct frame_rules *rules, uintptr_t ip, struct frame_rule rule);

#endif
