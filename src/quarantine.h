/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * quarantine.h - where freed objects of a hardened process wait (harden.h): one that is
 * put there drives out others, chosen at random, when it is full.
 *
 * So nobody can foretell how many frees later an object's memory is given out again; on
 * average that is as many as it holds.  Never is an object driven out by its own coming.
 *
 * Pure: no lock; objects are not looked at.
 */
#ifndef NH_QUARANTINE_H
#define NH_QUARANTINE_H

#include "keystream.h"
#include "limits.h"

struct quarantined {
    void *object;
    uint32_t bytes;
    uint32_t cls;
};

/* A mapping is zeroed: an empty quarantine. */
struct quarantine {
    size_t count, bytes; /* of what it holds */
    uint32_t of_class[NH_CLASSES];
    struct quarantined held[NH_QUARANTINE_OBJECTS];
};

/* Takes one of the objects out by the random number; false if there is none. */
bool quarantine_take(struct quarantine *quarantine, uint32_t random, struct quarantined *out);
/* Puts one in, of at most NH_QUARANTINE_BYTES.  False when it has to be asked again; in both
 * cases `out->object` is what was driven out meanwhile, or NULL. */
bool quarantine_put(struct quarantine *quarantine, const struct quarantined *in, uint32_t random,
                    struct quarantined *out);

#endif
