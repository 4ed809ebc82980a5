/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * lookup.h - what is at any address whatever.
 *
 * Anyone may call it at any time, in a signal handler too: no lock, no waiting, no
 * fault, no errno, no memory but the table's and the descriptors'.
 */
#ifndef NH_LOOKUP_H
#define NH_LOOKUP_H

#include "nearheap.h"
#include "span.h"

/* An address as it was at one moment. */
struct lookup {
    enum nh_what what;
    uintptr_t object;      /* of NH_FREE_OBJECT, NH_OBJECT and NH_PAGES: first byte, else 0 */
    size_t size;           /* its bytes */
    struct span_view span; /* not of NH_NOTHING and NH_CHANGING */
};

/* Exact for all of the call where the address lies in an object that is not freed
 * meanwhile (span_table.h, D). */
void lookup_address(uintptr_t address, struct lookup *out);

#endif
