/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * inject.h - makes calls of the engine to the system and to libraries fail, by plan.
 *
 * The plan is in the environment, since the engine's first calls come before main:
 *
 *     FAULT=CALL:WHEN:PHASE[:attendant]
 *
 * CALL is a name of calls.def, or "all"; WHEN "first", "each" or a number n for every n-th;
 * PHASE "start", "load" or "exit", of which the program says when they begin and end; with
 * ":attendant" only calls of the engine's own thread (beat.h) count and fail.  FAULT_NODES=N
 * pretends that the kernel tells of N nodes, and that it places and finds memory on them.
 *
 * Without a plan nothing fails; calls are counted all the same.  No function here
 * allocates or takes a lock.
 */
#ifndef NH_TEST_INJECT_H
#define NH_TEST_INJECT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum fault_phase { PHASE_START, PHASE_LOAD, PHASE_EXIT, PHASE_NONE };

/* A line of calls.def each. */
enum fault_call {
#define CALL(name, how, error) CALL_##name##_##how,
#include "calls.def"
#undef CALL
    CALLS
};

/* Until the program says anything the phase is PHASE_START; in PHASE_NONE nothing fails.
 * No thread may be inside the engine when it changes from or to one that is planned. */
void fault_phase(enum fault_phase phase);

/* Called and made to fail so far, in the phase that is planned, or in all without a plan. */
uint64_t fault_calls(void);
uint64_t fault_injected(void);

/* Prints a list of those of calls.def that were made to fail, as "name HOW". */
void fault_print_struck(int fd);

/* What the calling thread does from now on is the test's own: not counted, and does not fail.
 * Or no longer. */
void fault_spare(bool spare);

/* Called, if it is set, when the engine is about to wait for something until some time. */
extern void (*fault_when_waiting)(void);

/* A thread of the test's, with a small stack; false when it cannot be had. */
bool fault_thread(pthread_t *thread, void *(*run)(void *), void *arg);

/* Prints a line for each of calls.def: its name, error, how often it was called in each
 * phase, and how often by the attendant in each. */
void fault_print(int fd);

/* ---- For inject*.c ---- */

/* Whether this call is to fail by the table's line; then errno is set.  Counts it. */
bool fault_strikes(enum fault_call call);

/* What stands in for a function that the engine looks up in a library: the function itself
 * where it cannot fail. */
void *fault_found(const char *name, void *function);

#endif
