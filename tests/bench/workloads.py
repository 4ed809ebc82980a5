#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""workloads.py PROGRAM LIBRARY THREADS SCALE: every workload of the program runs with
the library preloaded, verifies its objects, and tells what it did."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench"))
import compare_runs
import paired

SECONDS_MOST = 30  # a workload


def main():
    program, library, threads, scale = sys.argv[1:]
    paired.check_binding("the library", library, [program, "--list"])
    names = compare_runs.listed(program)
    if not names:
        raise paired.Failed("--list tells no workloads")
    wrong = []
    for group in compare_runs.groups(names, [int(threads)], 1, 0):
        run = compare_runs.measure(program, group, "the library", library, scale, 0, SECONDS_MOST)
        if run["status"] != "ok":
            wrong.append(f"{group.workload}: {run['reason']}")
        elif not all(run[what] > 0 for what in ("seconds", "operations", "peak_kib",
                                                "settled_kib")) or run["faults"] < 0:
            wrong.append(f"{group.workload}: told {run}")
    if wrong:
        raise paired.Failed("\n".join([f"{len(wrong)} of {len(names)} workloads failed"] + wrong))
    return 0


if __name__ == "__main__":
    sys.exit(paired.run(main))
