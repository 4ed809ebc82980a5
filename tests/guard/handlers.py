#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs' own handlers of SIGSEGV beside nearheap's: each gets what it would have got without,
and the process ends as it would have.

    handlers.py PROGRAM"""

import os
import signal
import subprocess
import sys

PROGRAM = sys.argv[1]

# Mode: how it ends, and how many reports there are.
MODES = {
    "none_slot": (-signal.SIGSEGV, 1),
    "none_own": (-signal.SIGSEGV, 0),
    "none_sent": (-signal.SIGSEGV, 0),
    "before": (0, 2),
    "before_plain": (0, 1),
    "before_nodefer": (0, 2),
    "before_once": (-signal.SIGSEGV, 1),
    "before_ignored": (-signal.SIGSEGV, 1),
    "small_stack": (0, 1),
    "after": (0, 0),  # nobody calls nearheap's
    "after_calls_it": (-signal.SIGSEGV, 1),
}


def check(mode, guard, end, reports):
    run = subprocess.run([PROGRAM, mode], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, check=False, env={**os.environ, "NEARHEAP_GUARD": guard})
    said = run.stdout.count("nearheap: use after free: write to ")
    lines = run.stdout.splitlines()
    if run.returncode != end or said != reports or not all(line.startswith("nearheap: ")
                                                           for line in lines):
        sys.exit(f"handlers.py: {mode} ended with {run.returncode}, not {end}; "
                 f"{said} reports, not {reports}; it said:\n{run.stdout}")


def main():
    for mode, (end, reports) in MODES.items():
        check(mode, "1", end, reports)
    check("none_own", "0", -signal.SIGSEGV, 0)


if __name__ == "__main__":
    main()
