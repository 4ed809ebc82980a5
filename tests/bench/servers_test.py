#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""servers_test.py BUILD NEARHEAP BROKEN: bench/servers with very little work; what it
prints is computed again from its single runs.  BROKEN is a malloc with which programs
fail.  Its server is sqlite, which nothing need be installed for; without it, 77."""

import io
import json
import os
import re
import statistics
import subprocess
import sys
import unittest
from contextlib import redirect_stdout

sys.dont_write_bytecode = True
BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench")
sys.path.insert(0, BENCH)
import servers_tables

BUILD, NEARHEAP, BROKEN = sys.argv[1:4]
SECONDS_MOST = 120
SKIPPED = 77


def servers(*more):
    return subprocess.run([os.path.join(BENCH, "servers"), "--build", BUILD, "--lib", NEARHEAP,
                           "--scale", "0.02", "--rounds", "3", "--settle", "0.3", *more],
                          capture_output=True, text=True, timeout=SECONDS_MOST)


def made_up(server, allocator, turn, rate, p99=None, peak=1, status="ok"):
    return {"server": server, "allocator": allocator, "round": turn, "status": status,
            "reason": "", "figures": {"get": {"rate": rate, "p99": p99}}, "memory": {"peak": peak}}


class Servers(unittest.TestCase):
    def test_runs_and_figures(self):
        ran = servers("--allocators", f"nearheap,glibc,again={NEARHEAP}", "--json", "sqlite")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        told = json.loads(ran.stdout)
        names = ["nearheap", "glibc", "again"]
        self.assertEqual(list(told["allocators"]), names)
        self.assertEqual(sorted((run["round"], run["allocator"]) for run in told["runs"]),
                         sorted((turn, name) for turn in range(3) for name in names))
        for run in told["runs"]:
            self.assertEqual(run["status"], "ok")
            self.assertEqual("settled" in run["memory"], run["round"] == 0)
            self.assertGreaterEqual(run["memory"]["peak"], run["memory"].get("settled", 0))
        rates = {name: [run["figures"]["write"]["rate"] for run in told["runs"]
                        if run["allocator"] == name] for name in names}
        row = told["comparisons"]["operations a second"]["sqlite, write"]
        for name in names:
            self.assertEqual(row["medians"][name], statistics.median(rates[name]))
        self.assertAlmostEqual(
            row["ratios"]["glibc"]["ratio"],
            statistics.median(a / b for a, b in zip(rates["nearheap"], rates["glibc"])))

    def test_one_that_fails(self):
        ran = servers("--allocators", f"nearheap,broken={BROKEN}", "sqlite")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual(ran.stderr.count("FAILED: sqlite under broken"), 1, ran.stderr)
        row = next(line for line in ran.stdout.splitlines() if line.startswith("| sqlite, write"))
        self.assertIsNotNone(re.fullmatch(r"\| sqlite, write \| [0-9.]+ k?/s \| failed \|  \|", row),
                             row)
        ran = servers("--allocators", f"glibc,nearheap={BROKEN}", "sqlite")
        self.assertEqual(ran.returncode, 1, ran.stderr)

    def test_refused(self):
        for why, arguments in (("'moon'", ["moon"]), ("'moon'", ["--allocators", "moon"])):
            ran = servers(*arguments)
            self.assertEqual((ran.returncode, ran.stdout), (1, ""))
            self.assertIn(why, ran.stderr)


class Tables(unittest.TestCase):
    RUNS = [made_up("x", "nearheap", 0, 300, 0.002, 3 << 20),
            made_up("x", "nearheap", 1, 330, 0.002, 3 << 20),
            made_up("x", "slow", 0, 100, 0.001, 4 << 20),
            made_up("x", "slow", 1, 100, 0.001, 4 << 20),
            made_up("x", "fast", 0, 200, 0.004, 2 << 20),
            made_up("x", "fast", 1, 300, 0.004, 2 << 20),
            made_up("x", "ill", 0, 900), made_up("x", "ill", 1, 0, status="failed")]
    NAMES = ["nearheap", "slow", "fast", "ill"]

    def test_best_other_of_each_row(self):
        made = servers_tables.results(self.RUNS, self.NAMES)
        printed = io.StringIO()
        with redirect_stdout(printed):
            servers_tables.print_all(made, self.NAMES, 2)
        lines = printed.getvalue().splitlines()
        self.assertIn("| x | 3.15 | 1.30 |  | 2.00 | 0.50 |  |  |  |", lines)
        self.assertIn("Each one's rate over that of the best other of each row: "
                      "nearheap 1.30, slow 0.32, fast 0.79", lines)
        rows = [line for line in lines if line.startswith("| x,")]
        self.assertEqual(rows, [
            "| x, get | 315.00/s | 100.00/s | 250.00/s | failed | 1.30 (1.10-1.50) fast |",
            "| x, get | 2.00 ms | 1.00 ms | 4.00 ms | failed | 2.00 (2.00-2.00) slow |",
            "| x, peak | 3.0 MiB | 4.0 MiB | 2.0 MiB | failed | 1.50 (1.50-1.50) fast |"])


if __name__ == "__main__":
    if not os.path.exists(os.path.join(BUILD, "tests", "sqlite_load")):
        print("skipped: sqlite_load was not built (it needs Debian's libsqlite3-dev)")
        sys.exit(SKIPPED)
    unittest.main(argv=sys.argv[:1], verbosity=2)
