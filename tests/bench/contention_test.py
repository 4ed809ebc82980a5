#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""contention_test.py BUILD NEARHEAP: the model of bench/contention against a simulation
of CPUs at a lock, and a short run of the whole."""

import heapq
import importlib.machinery
import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench")
sys.path.insert(0, BENCH)
PROGRAM = os.path.join(BENCH, "contention")
loader = importlib.machinery.SourceFileLoader("contention", PROGRAM)
contention = importlib.util.module_from_spec(importlib.util.spec_from_loader("contention", loader))
loader.exec_module(contention)

BUILD, NEARHEAP = sys.argv[1:3]
SECONDS_MOST = 120


def simulate(cpus, think, hold, locks, turns):
    """CPUs that think and hold for times of exponential distribution: the rate at which
    one gets a lock over that when alone, and how often it is found taken."""
    chance = random.Random(4711)
    arrivals = [(chance.expovariate(1 / think), n) for n in range(cpus)]
    heapq.heapify(arrivals)
    free_at = [0.0] * locks
    taken = now = 0.0
    for _ in range(turns):
        now, cpu = heapq.heappop(arrivals)
        lock = chance.randrange(locks)
        taken += free_at[lock] > now
        free_at[lock] = max(free_at[lock], now) + chance.expovariate(1 / hold)
        heapq.heappush(arrivals, (free_at[lock] + chance.expovariate(1 / think), cpu))
    return turns / cpus / now * (think + hold), taken / turns


class Contention(unittest.TestCase):
    def test_the_model(self):
        for cpus, think, hold, locks in [
                (1, 100, 10, 1), (2, 100, 10, 1), (8, 1000, 100, 1), (16, 1000, 100, 1),
                (64, 5000, 100, 1), (1, 100, 10, 16), (2, 100, 100, 2), (8, 100, 100, 4),
                (32, 650, 105, 16), (64, 650, 105, 16), (64, 1560, 105, 16)]:
            with self.subTest(cpus=cpus, think=think, hold=hold, locks=locks):
                rate, taken = contention.lock_use(cpus, think, hold, locks)
                seen_rate, seen_taken = simulate(cpus, think, hold, locks, 200000)
                self.assertAlmostEqual(rate, seen_rate, delta=0.02)
                self.assertAlmostEqual(taken, seen_taken, delta=0.02)

    def test_what_it_says_of_a_run(self):
        run = {"cpu_ns": 650e3, "exchanges": 1000}
        for locks in (1, contention.SPREAD):
            for cpus, said in contention.estimate(run, 5, locks).items():
                with self.subTest(cpus=cpus, locks=locks):
                    seen_rate, seen_taken = simulate(cpus, 650, 5 + contention.TRANSFER_NS, locks,
                                                     200000)
                    self.assertAlmostEqual(said["efficiency"], seen_rate, delta=0.02)
                    self.assertAlmostEqual(said["taken"], seen_taken, delta=0.02)

    def test_refused(self):
        with tempfile.TemporaryDirectory(prefix="nearheap-") as folder:
            link = os.path.join(folder, "a space.so")
            os.symlink(NEARHEAP, link)
            for why, arguments in (
                    ("cannot name a file with a space or a colon", ["--lib", link]),
                    # The dynamic loader ignores what is no library.
                    ("and not of", ["--lib", PROGRAM]),
                    ("no program", ["--build", folder, "--lib", NEARHEAP]),
                    ("none matches 'moon'", ["--lib", NEARHEAP, "--workloads", "moon"])):
                with self.subTest(why):
                    ran = subprocess.run([PROGRAM, "--build", BUILD, *arguments],
                                         capture_output=True, text=True, timeout=SECONDS_MOST)
                    self.assertEqual((ran.returncode, ran.stdout), (1, ""), ran.stderr)
                    self.assertIn(why, ran.stderr)
                    self.assertEqual(ran.stderr.count("\n"), 1, ran.stderr)

    def test_a_run(self):
        ran = subprocess.run([PROGRAM, "--build", BUILD, "--lib", NEARHEAP, "--scale", "0.05",
                              "--threads", "1,2", "--workloads", "queue,pairs", "--json"],
                             capture_output=True, text=True, timeout=SECONDS_MOST)
        if "libbenchmark-dev" in ran.stderr:
            self.skipTest(ran.stderr.strip())
        self.assertEqual(ran.returncode, 0, ran.stderr)
        told = json.loads(ran.stdout)
        self.assertGreater(told["hold_ns"], 0)
        self.assertEqual([(row["run"]["workload"], row["run"]["threads"]) for row in told["rows"]],
                         [("queue", 1), ("queue", 2), ("pairs", 1), ("pairs", 2)])
        for row in told["rows"]:
            self.assertGreater(row["run"]["exchanges"], 0)
            self.assertLessEqual(row["run"]["waits"], row["run"]["exchanges"])
            for one, spread in zip(row["one"].values(), row["spread"].values()):
                self.assertLessEqual(one["efficiency"], spread["efficiency"])
                self.assertLessEqual(spread["efficiency"], 1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
