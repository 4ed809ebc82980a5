/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * guard_report.h - what is said of a wrong access or free of an object between guard pages: what
 * it was, where, of which object, and the calls that allocated and freed it, each with the file
 * that its code is in and the place there that addr2line takes.
 *
 * No malloc, errno may change; for signal handlers: it takes the lock of guarded objects, with
 * which held nothing can go wrong that would be reported.  One report at a time: a thread whose
 * turn it is not waits for the others'.
 */
#ifndef NH_GUARD_REPORT_H
#define NH_GUARD_REPORT_H

#include "base.h"

enum guard_what { GUARD_READ, GUARD_WRITE, GUARD_JUMP, GUARD_ACCESS };

struct guard_access {
    uintptr_t address;
    uintptr_t instruction;
    enum guard_what what; /* GUARD_ACCESS: not known */
};

/* An access that was refused: says what it was, if it was to a slot. */
void guard_report_access(const struct guard_access *access);
/* A wrong free, of which a line was said: adds whose, if it was in a slot. */
void guard_report_free(uintptr_t address);

/* In the child of a fork, whose other threads do not write reports any more. */
void guard_report_fork_child(void);

#endif
