#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""compare_test.py BUILD NEARHEAP BROKEN: bench/compare from its options to its tables,
with very little work; what it prints is computed again from its single runs.  BROKEN is
a malloc with which workloads fail."""

import csv
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock

sys.dont_write_bytecode = True
BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench")
sys.path.insert(0, BENCH)
import compare_runs
import paired

BUILD, NEARHEAP, BROKEN = sys.argv[1:4]
WORKLOADS = {"small", "vectors"}
THREE = ["nearheap", "glibc", "limit"]
SECONDS_MOST = 60


def command(*more):
    return [os.path.join(BENCH, "compare"), "--build", BUILD, "--lib", NEARHEAP,
            "--workloads", "smal?,vec.*", "--scale", "0.01"] + list(more)


def compare(*more):
    return subprocess.run(command(*more), capture_output=True, text=True, timeout=SECONDS_MOST)


def key(run):
    return compare_runs.group_of(run), run["allocator"]


class Turns(unittest.TestCase):
    def orders(self, allocators, workloads, threads=(2,)):
        """By workload and number of threads, the allocators' order in each round: as
        many rounds as it takes until it begins anew."""
        rounds = 2 * len(allocators)
        found = {}
        planned = compare_runs.groups([f"w{i}" for i in range(workloads)], threads, rounds, 1)
        for group, names in compare_runs.turns(planned, allocators):
            self.assertEqual(sorted(names), sorted(allocators))
            if group.kind == compare_runs.TIMED:
                found.setdefault((group.workload, group.threads), []).append(names)
        return found

    def test_each_leads_and_follows(self):
        # Among them those that a round's number of groups has a factor in common with.
        for number in (2, 3, 4, 5, 7):
            allocators = [f"a{i}" for i in range(number)]
            for workloads, threads in ((19, (2,)), (19, (1, 2)), (20, (2,)), (9, (2,)), (1, (2,))):
                for what, rounds in self.orders(allocators, workloads, threads).items():
                    with self.subTest(allocators=number, workloads=workloads, what=what):
                        for place in range(number):
                            at_it = [order[place] for order in rounds]
                            self.assertEqual({at_it.count(name) for name in allocators}, {2})
                        forth = [self.is_forth(order, allocators) for order in rounds]
                        if number > 2:
                            self.assertEqual(forth, [forth[0], not forth[0]] * number)

    @staticmethod
    def is_forth(order, allocators):
        """Whether who follows the first of them is the second, unless he is the last."""
        first = order.index(allocators[0])
        return order[(first + 1) % len(order)] == allocators[1]

    def test_settled_runs_rotate_as_well(self):
        planned = compare_runs.groups(["w0", "w1", "w2", "w3"], [2], 5, 1)
        settled = [names for group, names in compare_runs.turns(planned, ["a", "b"])
                   if group.kind == compare_runs.SETTLED]
        self.assertEqual(settled, [paired.rotated(["a", "b"], turn) for turn in range(4)])


class Compare(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="nearheap-")
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def good(self, *more):
        ran = compare(*more)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return ran

    def refused(self, why, *more):
        ran = compare(*more)
        self.assertEqual(ran.returncode, 1, ran.stderr)
        self.assertIn(why, ran.stderr)

    def test_runs_and_figures(self):
        told = json.loads(self.good("--allocators", ",".join(THREE), "--add", f"again={NEARHEAP}",
                                    "--rounds", "2", "--threads", "2,1", "--settle", "0.02",
                                    "--json", "--csv", self.path("runs.csv")).stdout)
        names = ["nearheap", "glibc", "again", "limit"]
        self.assertEqual(list(told["allocators"]), names)
        wanted = {(compare_runs.Group("timed", turn, threads, workload), name) for turn in (0, 1)
                  for threads in (1, 2) for workload in WORKLOADS for name in names}
        wanted |= {(compare_runs.Group("settled", 0, 2, workload), name)
                   for workload in WORKLOADS for name in names}
        self.assertEqual(sorted(key(run) for run in told["runs"]), sorted(wanted))

        with open(self.path("runs.csv"), newline="") as file:
            reader = csv.DictReader(file)
            written = list(reader)
        self.assertEqual(reader.fieldnames, compare_runs.COLUMNS)
        self.assertEqual([{n: str(run.get(n, "")) for n in compare_runs.COLUMNS}
                          for run in told["runs"]], written)

        def seconds(workload, name):
            return [float(run["seconds"]) for run in written if (
                run["kind"], run["workload"], run["threads"], run["allocator"]) ==
                ("timed", workload, "2", name)]
        products = {"glibc": 1, "limit": 1}
        for workload in WORKLOADS:
            row = told["threads"]["2"]["rows"]["time"][workload]
            for name in names:
                self.assertGreater(min(seconds(workload, name)), 0)
                self.assertEqual(row["medians"][name], statistics.median(seconds(workload, name)))
            for name in products:
                ratio = statistics.median(a / b for a, b in zip(seconds(workload, "nearheap"),
                                                                seconds(workload, name)))
                self.assertAlmostEqual(row["ratios"][name]["ratio"], ratio)
                products[name] *= ratio
        lines = {line["what"]: line for line in told["threads"]["2"]["summary"]}
        self.assertAlmostEqual(lines["time: glibc"]["nearheap/peer"], math.sqrt(products["glibc"]))
        self.assertAlmostEqual(lines["time: glibc"]["nearheap/limit"], math.sqrt(products["limit"]))
        fastest = lines["time: fastest peer of each row"]
        self.assertEqual(fastest["rows"], len(WORKLOADS))
        self.assertIn("settled memory: leanest peer of each row", lines)
        self.assertNotIn("time: limit", lines)

    def test_tables(self):
        said = self.good("--allocators", ",".join(THREE), "--rounds", "1",
                         "--threads", "1,2").stdout
        for title in ("time, threads: 1 ", "time ratio, threads: 2 ", "peak memory, threads: 2 ",
                      "page faults, threads: 1 ", "summary, threads: 1 ",
                      "speed-up, threads: 1 to 2 "):
            table = [block for block in said.split("\n\n") if block.strip().startswith(title)]
            self.assertEqual(len(table), 1, f"{title} in {said}")
            if "summary" not in title:
                rows = [line.split()[0] for line in table[0].strip().splitlines()[1:3]]
                self.assertEqual(set(rows), WORKLOADS)
        self.assertNotIn("settled memory", said)

    def interrupt(self, state, options):
        """Kills a comparison that has done some runs; what its journal then has."""
        process = subprocess.Popen(command(*options), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        enough = 5  # lines: a whole group of three, and a part of the next
        while process.poll() is None:
            if os.path.exists(state) and open(state).read().count("\n") >= enough:
                os.killpg(process.pid, signal.SIGKILL)
                break
            time.sleep(0.002)
        self.assertEqual(process.wait(), -signal.SIGKILL)
        with open(state) as file:
            return file.read().split("\n")

    def test_resume(self):
        state = self.path("state")
        options = ["--allocators", ",".join(THREE), "--rounds", "6", "--resume", state]
        lines = self.interrupt(state, options)
        before = [json.loads(line) for line in lines[1:-1]]
        whole = before[:len(before) // len(THREE) * len(THREE)]
        self.assertGreater(len(whole), 0)
        with open(state, "a") as file:
            file.write('{"kind": "timed", "rou')
        told = json.loads(self.good("--json", *options).stdout)["runs"]
        self.assertEqual(sorted(key(run) for run in told), sorted(
            (compare_runs.Group("timed", turn, 2, workload), name)
            for turn in range(6) for workload in WORKLOADS for name in THREE))
        self.assertEqual(told[:len(whole)], whole)
        with open(state) as file:
            finished = file.read()
        self.assertEqual([json.loads(line) for line in finished.splitlines()[1:]], told)
        # Once all is there, nothing is measured; and never what would not fit.
        self.good(*options)
        with open(state) as file:
            self.assertEqual(file.read(), finished)
        self.refused("another scale", *options, "--scale", "0.02")
        self.refused("another allocators", *options, "--add", f"again={NEARHEAP}")
        for name in ("NEARHEAP_CACHE", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES"):
            with unittest.mock.patch.dict(os.environ, {name: "1"}):
                self.refused("another environment", *options)

    def test_failures(self):
        ran = self.good("--allocators", f"nearheap,broken={BROKEN},glibc", "--rounds", "2")
        self.assertIn("FAILED: broken: small, threads: 2: status 1: workload: FAILED: "
                      "an object's contents changed", ran.stderr)
        self.assertIn("nearheap itself did not fail", ran.stderr)
        row = next(line for line in ran.stdout.splitlines() if line.startswith("small"))
        self.assertEqual(row.split().count("failed"), 1)
        self.refused("FAILED: nearheap: small", "--lib", BROKEN, "--allocators", "nearheap,glibc",
                     "--rounds", "1")
        self.refused("FAILED: nearheap: small, threads: 2: not finished", "--allocators",
                     "nearheap,glibc", "--rounds", "1", "--timeout", "0")

    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
    def test_plot(self):
        picture = self.path("it's.png")
        self.good("--allocators", ",".join(THREE), "--rounds", "1", "--plot", picture)
        with open(picture, "rb") as file:
            self.assertEqual(file.read(8), b"\x89PNG\r\n\x1a\n")

    def test_refusals(self):
        with_glibc = ("--allocators", "nearheap,glibc")
        self.refused("and not of", *with_glibc, "--add",
                     f"none={os.path.join(BUILD, 'bench', 'workload')}")
        self.refused("there is a glibc already", *with_glibc, "--add", f"glibc={NEARHEAP}")
        self.refused("none matches 'no_such'", *with_glibc, "--workloads", "no_such")

    def test_paths(self):
        for name in ("a space", "a:colon"):
            link = self.path(f"{name}.so")
            os.symlink(NEARHEAP, link)
            why = f"{link}: LD_PRELOAD cannot name a file with a space or a colon"
            self.refused(why, "--lib", link, "--allocators", "nearheap,glibc")
            self.refused(why, "--allocators", f"nearheap,again={link}")
            self.refused(why, "--allocators", "nearheap,glibc", "--add", f"again={link}")
        # Of a program's path the loader's list of bindings tells no less.
        program = self.path("a program")
        os.symlink(os.path.join(BUILD, "bench", "workload"), program)
        paired.check_binding("nearheap", NEARHEAP, [program, "--list"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
