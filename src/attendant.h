/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * attendant.h - a thread of the library's own, for what options ask to be done beside the
 * program: it exists only where one of them is set.
 *
 * It is started by the library's constructor, and again in the child of a fork, waits
 * ATTENDANT_AFTER_MS, so that processes which end or exec at once never see its duties
 * begin, and then waits for the next beat and for the descriptors of its duties.  It is
 * named "nearheap", has all signals blocked and a small stack, takes the engine's locks
 * one at a time as any thread does, and allocates nothing but what walks stacks, where it is told
 * to begin a profile.  It ends with the process;
 * where all of the program's threads end by pthread_exit, it ends, too, so that the
 * process does; and where it is not let wait, as if the process did.
 *
 * Programs may close descriptors that they did not open (daemons do, at their beginning).
 * So the attendant needs none for itself, and before it uses one of a duty, it looks
 * whether that is the file it was.
 */
#ifndef NH_ATTENDANT_H
#define NH_ATTENDANT_H

#include "base.h"
#include "own_fd.h"

/* From the thread's start to its duties' beginning. */
#define ATTENDANT_AFTER_MS 200
/* Between two beats. */
#define ATTENDANT_BEAT_MS 1000

/* By the library's constructor, with no lock held: starts the thread if an option asks. */
void attendant_begin(void);
/* By the library's destructor, or by a thread that cannot go on: what duties left in the
 * file system goes.  The thread may run on. */
void attendant_end(void);
/* In the child of a fork, with no lock held, or without `anew`, which a thread is started for:
 * that allocates. */
void attendant_fork_child(bool anew);

/* By the attendant itself, from a duty: calls `ready` with the descriptor whenever it can be read
 * or its other end hangs up, until it is dropped or is another file than the duty noted, which
 * it may be already.  False when there are too many. */
bool attendant_watch(const struct own_fd *own, void (*ready)(int fd));
/* Does not close it. */
void attendant_drop(int fd);

#endif
