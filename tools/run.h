/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * run.h - what the parts of nearheap-run tell each other: run.c reads the command line
 * and starts the program, run_checks.c looks at the machine and at that program.
 */
#ifndef NH_TOOLS_RUN_H
#define NH_TOOLS_RUN_H

#include <stdbool.h>

/* What the checks need to know of the run. */
struct run_facts {
    const char *system;  /* where the kernel's files are looked for: "" is the machine's own */
    const char *program; /* what is to be started, found in PATH; NULL for nothing */
    bool huge_always;    /* NEARHEAP_HUGE is always */
    bool latency;        /* nobody may wait */
};

/* Prints a line on stderr for each thing that makes nearheap do worse than it could, what
 * to change, and why; returns how many. */
unsigned run_check(const struct run_facts *facts);

#endif
