/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * quarantine.c - see quarantine.h.
 */
#include "quarantine.h"

static bool fits(const struct quarantine *quarantine, const struct quarantined *in)
{
    return quarantine->count < NH_QUARANTINE_OBJECTS &&
           in->bytes <= NH_QUARANTINE_BYTES - quarantine->bytes;
}

bool quarantine_take(struct quarantine *quarantine, uint32_t random, struct quarantined *out)
{
    if (quarantine->count == 0)
        return false;
    struct quarantined *at =
        &quarantine->held[keystream_below(random, (uint32_t)quarantine->count)];
    *out = *at;
    *at = quarantine->held[--quarantine->count];
    quarantine->bytes -= out->bytes;
    quarantine->of_class[out->cls]--;
    return true;
}

bool quarantine_put(struct quarantine *quarantine, const struct quarantined *in, uint32_t random,
                    struct quarantined *out)
{
    out->object = NULL;
    if (!fits(quarantine, in))
        (void)quarantine_take(quarantine, random, out);
    if (!fits(quarantine, in))
        return false;
    quarantine->held[quarantine->count++] = *in;
    quarantine->bytes += in->bytes;
    quarantine->of_class[in->cls]++;
    return true;
}
