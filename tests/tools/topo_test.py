#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""topo_test.py TOPO [NUMA-VM]: nearheap-topo on topologies that are made up, or with
NUMA-VM on an emulated machine, against what is known of them."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

TOPO, VM = sys.argv[1], sys.argv[2:]
GUEST_SECONDS = 300
MIB = 1 << 20
PIPE_BYTES = 4096  # much less than is printed of 64 nodes
SKIPPED = 77


def environment(spec=None, **variables):
    found = {k: v for k, v in os.environ.items() if not k.startswith("NEARHEAP_")}
    if spec is not None:
        found["NEARHEAP_TOPOLOGY"] = f"synthetic:{spec}"
    return {**found, **variables}


def run(*options, spec=None, **variables):
    return subprocess.run([TOPO, *options], capture_output=True, text=True,
                          env=environment(spec, **variables))


def told(ran):
    if ran.returncode != 0:
        raise AssertionError(f"status {ran.returncode}: {ran.stderr}")
    return json.loads(ran.stdout)


class MadeUp(unittest.TestCase):
    def test_nodes_distances_and_order(self):
        for nodes in (1, 2, 4, 64):
            found = told(run("--json", spec=f"numa:{nodes} core:2 pu:1"))
            self.assertEqual(found["source"], "synthetic")
            self.assertEqual([node["node"] for node in found["nodes"]], list(range(nodes)))
            for node in found["nodes"]:
                number = node["node"]
                far = node["distances"]
                self.assertEqual(far[number], 10)
                self.assertEqual(len({d for i, d in enumerate(far) if i != number}), nodes > 1)
                self.assertEqual(node["nearest"][0], number)
                self.assertEqual(sorted(node["nearest"]), list(range(nodes)))
                self.assertIsNone(node["total_bytes"])

    def test_text_says_the_same(self):
        found = told(run("--json", spec="numa:3 core:1 pu:1"))
        lines = run(spec="numa:3 core:1 pu:1").stdout.splitlines()
        self.assertTrue(lines[0].startswith("3 nodes, told by: synthetic."))
        for node in found["nodes"]:
            row = " ".join(map(str, node["nearest"][1:]))
            self.assertTrue(any(line.startswith(f"{node['node']} ") and line.endswith(" " + row)
                                for line in lines), row)
            distances = [str(node["node"]), *map(str, node["distances"])]
            self.assertTrue(any(line.split() == distances for line in lines), distances)

    def test_machine_itself(self):
        found = told(run("--json"))
        self.assertIn(found["source"], ("kernel", "hwloc"))
        self.assertGreaterEqual(len(found["nodes"]), 1)
        for node in found["nodes"]:
            if node["total_bytes"] is not None:
                self.assertLessEqual(node["gives_bytes"], node["free_bytes"])
                self.assertLessEqual(node["free_bytes"], node["total_bytes"])
        self.assertGreater(found["kernel_ns"], 0)

    def test_what_is_for_the_server_is_left_to_it(self):
        names = ("NEARHEAP_STATS", "NEARHEAP_LEAKS", "NEARHEAP_PROFILE")
        with tempfile.TemporaryDirectory() as folder:
            files = {name: os.path.join(folder, name) for name in names}
            for path in files.values():
                with open(path, "w", encoding="ascii") as file:
                    file.write("the server's")
            told(run("--json", spec="numa:2 core:1 pu:1", **files))
            self.assertEqual(sorted(os.listdir(folder)), sorted(names))
            for path in files.values():
                with open(path, encoding="ascii") as file:
                    self.assertEqual(file.read(), "the server's")
        ran = run("--json", NEARHEAP_STATS="1", NEARHEAP_LEAKS="1", NEARHEAP_PROFILE_SIGNAL="12")
        told(ran)
        self.assertEqual(ran.stderr, "")

    def test_nothing_is_shared(self):
        """Seen while it prints more than there is room for."""
        with subprocess.Popen([TOPO, "--json"], stdout=subprocess.PIPE,
                              env=environment("numa:64 core:1 pu:1", NEARHEAP_SHARE="1"),
                              pipesize=PIPE_BYTES) as process:
            self.assertEqual(os.read(process.stdout.fileno(), 1), b"{")
            with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                self.assertIn("Threads:\t1\n", status.read())
            process.stdout.read()

    def test_arguments(self):
        ran = run("--moon")
        self.assertEqual((ran.returncode, ran.stdout), (2, ""))
        self.assertIn("'--moon'", ran.stderr)
        self.assertEqual(run("--help").returncode, 0)


class Guest(unittest.TestCase):
    """Three nodes along a line, the last without CPUs, the first not allowed."""

    MEMORY = (300, 200, 250)

    def test_guest(self):
        ran = subprocess.run(
            [*VM, "--nodes", "3", "--cpus", "2,1,0", "--mem", ",".join(map(str, self.MEMORY)),
             "--distances", "line", "--cgroup", "cpuset.mems=1-2",
             "--setup", "echo 1 >/proc/sys/kernel/numa_balancing",
             "--timeout", str(GUEST_SECONDS), "--", TOPO, "--json"],
            capture_output=True, text=True)
        found = told(ran)
        first, middle, last = found["nodes"]
        self.assertEqual([node["cpus"] for node in found["nodes"]], ["0-1", "2", ""])
        self.assertEqual([node["allowed"] for node in found["nodes"]], [False, True, True])
        self.assertEqual([node["uses"] for node in found["nodes"]], [1, 1, 2])
        for node, size in zip(found["nodes"], self.MEMORY):
            self.assertLessEqual(node["total_bytes"], size * MIB)
            self.assertGreater(node["total_bytes"], size * MIB // 2)
        self.assertEqual(first["gives_bytes"], 0)
        self.assertGreater(middle["gives_bytes"], 0)
        said = "\n".join(found["warnings"])
        self.assertIn("node 0 is not allowed by the cpuset: threads on it use the memory of "
                      "node 1", said)
        self.assertIn("node 2 has no CPUs", said)
        self.assertIn("sysctl kernel.numa_balancing=0", said)
        if found["source"] == "hwloc":
            self.assertEqual([node["distances"] for node in found["nodes"]],
                             [[10, 21, 32], [21, 10, 21], [32, 21, 10]])
            self.assertEqual(last["nearest"], [2, 1, 0])
        else:
            self.assertIn("hwloc does not answer", said)


if __name__ == "__main__":
    for program in ("qemu-system-x86_64", "busybox"):
        if VM and shutil.which(program) is None:
            print(f"skipped: there is no {program}")
            sys.exit(SKIPPED)
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Guest if VM else MadeUp)
    sys.exit(not unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful())
