#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""parts_test.py PARTS: every benchmark of the engine's parts, very briefly.  What each
looks at itself was right, or is not to be had on this system; how long it took, is not
looked at."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

PARTS = sys.argv[1]
NOT_HERE = "not here: "  # bench/parts/parts.h
ARGUMENTS = ["--benchmark_min_time=0.001"]
# Without them, a benchmark was forgotten.
PARTS_OF_THE_ENGINE = {
    "size_class", "cache_hit_thread", "cache_hit_cpu", "refill", "flush",
    "flush_mixed", "depot_exchange",
    "bitmap_refill_64_a_word", "bitmap_refill_4_a_word", "bitmap_refill_1_a_word",
    "treap_remove_insert", "treap_best_fit", "treap_alone_remove_insert", "treap_alone_best_fit",
    "span_table_lookup", "lookup_bare_walk", "lookup", "lookup_bare_walk_waits",
    "lookup_waits", "lookup_beside_writer", "coalesce", "steal"}


def run(*arguments, **environment):
    # What is due by time would go on in the midst of hits.
    return subprocess.run([PARTS, *arguments], stdout=subprocess.PIPE, text=True, check=True,
                          env={**os.environ, "NEARHEAP_DECAY": "-1", **environment}).stdout


def results(*arguments, **environment):
    """By name: all runs and fits."""
    # Not from stdout, where a sanitizer may print, too.
    with tempfile.TemporaryDirectory(prefix="nearheap-") as folder:
        path = os.path.join(folder, "parts.json")
        run("--benchmark_out_format=json", "--benchmark_out=" + path, *ARGUMENTS, *arguments,
            **environment)
        with open(path, encoding="utf-8") as file:
            return {result["name"]: result for result in json.load(file)["benchmarks"]}


def single_runs(found):
    return {name: result for name, result in found.items() if result["run_type"] == "iteration"}


class Parts(unittest.TestCase):
    def test_each_runs_without_error(self):
        names = run("--benchmark_list_tests=true").split()
        self.assertEqual({name.split("/")[0] for name in names}, PARTS_OF_THE_ENGINE)
        found = results()
        runs = single_runs(found)
        self.assertEqual(sorted(names), sorted(runs))
        for name, result in runs.items():
            with self.subTest(name):
                if result.get("error_occurred"):
                    self.assertTrue(result["error_message"].startswith(NOT_HERE),
                                    result["error_message"])
                else:
                    self.assertGreater(result["iterations"], 0)
        for name, curve in (("treap_remove_insert", "lgN"), ("coalesce", "(1)")):
            self.assertEqual(found[name + "_BigO"]["big_o"], curve)

    def test_what_is_not_here_is_skipped(self):
        runs = single_runs(results("--benchmark_filter=cache_hit",
                                   GLIBC_TUNABLES="glibc.pthread.rseq=0"))
        for name, result in runs.items():
            with self.subTest(name):
                if name.startswith("cache_hit_cpu"):
                    self.assertTrue(result["error_message"].startswith(NOT_HERE))
                else:
                    self.assertFalse(result.get("error_occurred"), result)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
