/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * machine_checks.h - what makes nearheap do worse than it could: settings of the kernel,
 * limits, and programs that cannot be preloaded.  For nearheap-run and nearheap-topo,
 * with one thread.
 */
#ifndef NH_TOOLS_MACHINE_CHECKS_H
#define NH_TOOLS_MACHINE_CHECKS_H

#include <stdbool.h>

/* What the checks need to know. */
struct check_facts {
    const char *system;  /* where the kernel's files are looked for: "" is the machine's own */
    const char *program; /* what is to be started, found in PATH; NULL for nothing */
    bool huge_always;    /* NEARHEAP_HUGE is always */
    bool latency;        /* nobody may wait */
    /* Is given each thing found, in a line: what it is, what to change, and why. */
    void (*tell)(const char *line);
};

/* Returns how many things there are. */
unsigned check_machine(const struct check_facts *facts);

/* Whether the file is a shared object of the kind of machine that this program is for. */
bool check_is_library(const char *path);

#endif
