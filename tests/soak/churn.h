/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * churn.h - threads that hold objects, as the phase wants, for soak.c: what they do in
 * each phase, what it took, and how much is live.
 */
#ifndef NH_TEST_CHURN_H
#define NH_TEST_CHURN_H

#include "../server/check.h"

#include <stdbool.h>

/* In churn.c, a table. */
#define CHURN_PHASES 9U
/* Times are told of each of so many. */
#define CHURN_INTERVALS 16U

/* What threads hold is so many times what the table says; set before they begin. */
extern double churn_scale;

struct churn_thread;

/* For churn_run, a thread each. */
struct churn_thread *churn_new(unsigned threads);
struct churn_thread *churn_nth(struct churn_thread *all, unsigned index);
/* When all have ended. */
void churn_delete(struct churn_thread *all, unsigned threads);

/* A thread's main function: until churn_stop.  It frees all that it holds. */
void *churn_run(void *thread);

/* From now on all do this phase of this period. */
void churn_go(unsigned period, unsigned phase, unsigned interval);
void churn_stop(void);

/* Bytes that were asked for and not freed. */
size_t churn_live(struct churn_thread *all, unsigned threads);

struct churn_times {
    unsigned malloc_p99, free_p99; /* ns */
    uint64_t operations;           /* objects allocated */
};
struct churn_times churn_times(struct churn_thread *all, unsigned threads, unsigned interval);

#endif
