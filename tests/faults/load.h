/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * load.h - threads that use all entry points, whatever fails, and know what they hold.
 *
 * Nothing here ends the program: what is wrong is counted.
 */
#ifndef NH_TEST_LOAD_H
#define NH_TEST_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What was found since the beginning. */
struct load_counts {
    uint64_t nulls;     /* allocations refused, with ENOMEM */
    uint64_t errors;    /* refused with another errno, misaligned, too small, errno changed */
    uint64_t corrupted; /* objects whose contents were not as written, or not zero */
    uint64_t lost;      /* objects that the engine does not know to be held */
    uint64_t untouched; /* threads that could not be created */
};
struct load_counts load_counts(void);

/* `threads` threads work `steps` steps each and end.  The caller does what those that cannot be
 * created had to do. */
void load_work(unsigned threads, unsigned steps);

/* From now on samples for a profile are taken at this rate; 0: as the environment says. */
void load_sample(size_t rate);

/* Checks every object that is held against what was written, and what nh_lookup says. */
void load_verify(void);

/* Frees every `one_of`-th object that is held. */
void load_release(unsigned one_of);

/* One object of each of many sizes, all at once: how many are refused. */
unsigned load_ladder(void);

/* A child that allocates, frees and verifies, too; false when it does not end well. */
bool load_fork(void);

/* When the program is about to end: a thread writes a profile, which goes on when the engine
 * waits for it; and its end. */
void load_hold_profile(void);
void load_let_profile(void);

#endif
