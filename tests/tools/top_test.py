#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""top_test.py TOP LIBRARY PROGRAM DASHBOARD [NUMA-VM]: pages of counters that processes share,
and nearheap-top on them; with NUMA-VM on an emulated machine of four nodes.  Waits for what must come, and gives up after PATIENCE seconds."""

import concurrent.futures
import errno
import fcntl
import json
import os
import re
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
from top_screen import Screen
from top_strangers import Hostile
from top_subject import (DASHBOARD, FOLDER, FOUR_NODES, LIBRARY, NOBODY, PATIENCE, PROGRAM, TOP,
                         Subject, generation, path_of, started, state_of, top, until)

VM = sys.argv[5:]
SKIPPED = 77
MOST_PAGES = 20  # more than a page of counters on one node has, with its folder


def parse_prometheus(text):
    """The text format, strictly: {metric: {labels: value}}."""
    found, kinds, helped, current = {}, {}, set(), None
    label = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
    assert text.endswith("\n")
    for line in text.splitlines():
        told = re.fullmatch(r"# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)", line)
        if told:
            kind, name, rest = told.groups()
            if kind == "HELP":
                assert name not in helped, f"HELP twice: {name}"
                helped.add(name)
            else:
                assert name not in kinds and rest in ("gauge", "counter"), line
                kinds[name], found[name], current = rest, {}, name
            continue
        sample = re.fullmatch(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{(%s(?:,%s)*)\} ([0-9.]+)" %
                              (label, label), line)
        assert sample, f"no sample: {line}"
        name, labels, value = sample.groups()
        assert name == current, f"{name} among the samples of {current}"
        assert labels not in found[name], f"twice: {line}"
        assert name.endswith("_total") == (kinds[name] == "counter"), line
        found[name][labels] = float(value)
    assert helped == set(kinds)
    return found


class Pages(unittest.TestCase):
    def test_only_the_user_may_read_it(self):
        with Subject() as subject:
            self.assertEqual(stat.S_IMODE(os.stat(FOLDER).st_mode), 0o700)
            page = os.lstat(path_of(subject.pid))
            self.assertTrue(stat.S_ISREG(page.st_mode))
            self.assertEqual(stat.S_IMODE(page.st_mode), 0o600)
            self.assertEqual(page.st_uid, os.geteuid())
            self.assertEqual(top("--once", subject.pid).returncode, 0)
            if os.geteuid() != 0:
                self.skipTest("only root may become another user")
            other = top("--once", subject.pid, user=NOBODY, group=NOBODY, extra_groups=())
            self.assertEqual((other.returncode, other.stdout), (1, ""))
            self.assertIn("you may read", other.stderr)
            self.assertNotIn(str(subject.pid),
                             top("--all", user=NOBODY, group=NOBODY, extra_groups=()).stdout)

    def test_no_page_without_the_option(self):
        with Subject(page=False) as subject:
            found = top(subject.pid)
            self.assertEqual((found.returncode, found.stdout), (1, ""))
            self.assertIn("NEARHEAP_SHARE=1", found.stderr)
            # One that was joined is among them for a moment.
            until("one thread", lambda: len(os.listdir(f"/proc/{subject.pid}/task")) == 1)

    def test_page_goes_with_its_process(self):
        with Subject() as subject:
            subject.settle()
            status, said = subject.end()
            self.assertEqual((status, said), (0, ""))
            self.assertFalse(os.path.exists(path_of(subject.pid)))

    def test_page_of_the_dead_is_removed(self):
        with Subject() as dead:
            with open(path_of(dead.pid), "rb") as page:
                told = bytearray(page.read())
            dead.process.kill()
            dead.process.wait()
            self.assertEqual(top(dead.pid).returncode, 1)
            # One whose number is another process's by now.
            struct.pack_into("=q", told, 40, os.getpid())
            with open(path_of(os.getpid()), "wb") as page:
                page.write(told)
            self.assertEqual(top(os.getpid()).returncode, 1)
            with Subject():
                self.assertFalse(os.path.exists(path_of(dead.pid)))
                self.assertFalse(os.path.exists(path_of(os.getpid())))

    def test_child_of_a_fork_has_its_own(self):
        with Subject("fork") as subject:
            until("the child's page", lambda: os.path.exists(path_of(subject.child)))
            for pid in (subject.pid, subject.child):
                found = json.loads(top("--json", pid).stdout)
                self.assertEqual(found["pid"], pid)
                before = generation(pid)
                until("newer figures", lambda pid=pid, before=before: generation(pid) > before)
            self.assertEqual(subject.end()[0], 0)
            for pid in (subject.pid, subject.child):
                self.assertFalse(os.path.exists(path_of(pid)))

    def test_descriptors_may_be_closed(self):
        with Subject("daemon", wait=False) as subject:
            until("a page", lambda: os.path.exists(path_of(subject.pid)))
            subject.settle()
            self.assertEqual(subject.end()[0], 0)

    def test_process_ends_with_its_threads(self):
        with Subject("exits") as subject:
            until("the first thread's end", lambda: state_of(subject.pid) == "Z")
            self.assertEqual(top("--once", subject.pid).returncode, 0)
            with Subject():
                self.assertTrue(os.path.exists(path_of(subject.pid)))
            self.assertEqual(subject.end()[0], 0)

    def test_page_of_who_is_not_waited_for(self):
        with Subject() as dead:
            os.kill(dead.pid, signal.SIGKILL)
            # Of all its threads: the first is a zombie while others still end.
            os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
            self.assertEqual(top("--once", dead.pid).returncode, 1)
            found = {process["pid"] for process in json.loads(top("--all", "--json").stdout)}
            self.assertNotIn(dead.pid, found)
            with Subject():
                self.assertFalse(os.path.exists(path_of(dead.pid)))

    def test_pages_of_another_version(self):
        """Go with their processes, and not before; also where they have shorter headers."""
        with Subject() as dead:
            with open(path_of(dead.pid), "rb") as page:
                told = bytearray(page.read(64))
            dead.process.kill()
            dead.process.wait()
            struct.pack_into("=I", told, 8, 99)
            with open(path_of(dead.pid), "wb") as page:
                page.write(told)
            struct.pack_into("=q", told, 40, os.getpid())
            struct.pack_into("=Q", told, 56, started(os.getpid()))
            mine = path_of(os.getpid())
            with open(mine, "wb") as page:
                page.write(told)
            self.addCleanup(os.unlink, mine)
            self.assertIn("not one of this version", top(os.getpid()).stderr)
            with Subject():
                self.assertFalse(os.path.exists(path_of(dead.pid)))
                self.assertTrue(os.path.exists(mine))

    def test_signals_are_the_programs(self):
        with Subject() as subject:
            tasks = f"/proc/{subject.pid}/task"
            until("two threads", lambda: len(os.listdir(tasks)) == 2)  # the others were joined
            for task in os.listdir(tasks):
                with open(f"/proc/{subject.pid}/task/{task}/status") as told:
                    status = dict(re.findall(r"(\w+):\t(.*)", told.read()))
                # All but those that the C library has for itself.
                blocked = int(status["SigBlk"], 16) & 0x7fffffff
                others = blocked & ~(1 << signal.SIGKILL - 1 | 1 << signal.SIGSTOP - 1)
                self.assertEqual(others != 0, status["Name"] == "nearheap")

    def in_mounts(self, mounts, condition):
        """What the program says where other file systems are mounted; until the condition."""
        if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"],
                                               stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("file systems cannot be mounted here")
        # What is needed may lie in what is covered.
        script = f"""mount -t tmpfs none /run
cp {LIBRARY} /run/library
cp {PROGRAM} /run/program
{mounts}
mkfifo /run/hold
LD_PRELOAD=/run/library NEARHEAP_SHARE=1 /run/program hold </run/hold >/dev/null 2>/run/said &
exec 9>/run/hold
until {condition}; do sleep 0.1; done
exec 9>&-
wait $!
cat /run/said"""
        return subprocess.run(["unshare", "-m", "sh", "-ec", script], check=True,
                              stdout=subprocess.PIPE, text=True).stdout

    def test_one_line_where_nothing_can_be_made(self):
        said = self.in_mounts("mount -t tmpfs -o ro none /dev/shm; mount -t tmpfs -o ro none /tmp",
                              "[ -s /run/said ]")
        self.assertRegex(said, r"^nearheap: no page of counters is shared \(NEARHEAP_SHARE\): "
                               r"cannot make /tmp/nearheap-0/\d+: [a-z -]+\n$")

    def test_full_file_system(self):
        """Not a signal, and the next place is used."""
        said = self.in_mounts("mount -t tmpfs -o size=8k none /dev/shm; mount -t tmpfs none /tmp",
                              "[ -e /tmp/nearheap-0/$! ]")
        self.assertEqual(said, "")

    def test_full_at_any_page(self):
        """Whichever page of the file takes the last room: both sets of figures are written, in
        this place or in the next."""
        def place_of(pages):
            return self.in_mounts(
                f"mount -t tmpfs -o size={4 * pages}k none /dev/shm; mount -t tmpfs none /tmp",
                """page=$(ls -d /tmp/nearheap-0/$! /dev/shm/nearheap-0/$! 2>/dev/null || :)
                [ "$page" ] && [ $(od -An -t u8 -j 88 -N 8 $page) -ge 2 ] && echo $page ||
                ! grep -q '^State:.[^Z]' /proc/$!/status 2>/dev/null""")

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            said = list(pool.map(place_of, range(1, MOST_PAGES)))
        places = [re.match(r"/(tmp|dev/shm)/nearheap-0/\d+\n\Z", what) for what in said]
        self.assertTrue(all(places), said)
        self.assertEqual({place[1] for place in places}, {"tmp", "dev/shm"})


class Figures(unittest.TestCase):
    def test_same_as_at_exit(self):
        """What is shared while nothing happens is what statistics say at the end."""
        with tempfile.NamedTemporaryFile() as file, Subject(
                NEARHEAP_TOPOLOGY=FOUR_NODES, NEARHEAP_STATS=file.name,
                NEARHEAP_STATS_FORMAT="json") as subject:
            subject.settle()
            shared = json.loads(top("--json", subject.pid).stdout)
            self.assertEqual(subject.end()[0], 0)
            at_exit = json.load(file)
        counters = set(at_exit["nodes"][0])
        self.assertEqual(at_exit["nodes"], [{k: v for k, v in node.items() if k in counters}
                                            for node in shared["nodes"]])
        self.assertGreater(sum(node["live_bytes"] for node in shared["nodes"]), 3000000)
        pairs = {(pair["home"], pair["other"]): pair for pair in shared["pairs"]}
        for pair in at_exit["pairs"]:
            self.assertEqual(pair, pairs[pair["home"], pair["other"]])

    def test_classes_add_up(self):
        with Subject(NEARHEAP_TOPOLOGY=FOUR_NODES) as subject:
            subject.settle()
            found = json.loads(top("--json", subject.pid).stdout)
        for name in ("live_bytes", "spans", "refills", "refilled_objects", "flushes", "waits"):
            self.assertEqual(sum(row[name] for row in found["classes"]),
                             sum(row[name] for row in found["nodes"]), name)
        for node in found["nodes"]:
            self.assertGreaterEqual(node["refilled_objects"], node["refills"])
            self.assertGreaterEqual(node["refills"], node["depot_refills"])
            self.assertTrue(node["hit_rate"] is None or 0 <= node["hit_rate"] <= 1)

    def test_residence_is_the_kernels(self):
        if not os.path.exists("/proc/self/numa_maps"):
            self.skipTest("the kernel has no numa_maps")
        with Subject() as subject:
            found = json.loads(top("--json", subject.pid).stdout)
            self.assertGreater(sum(row["bytes"] for row in found["residence"]), 3000000)
            found = json.loads(top("--json", "--no-residence", subject.pid).stdout)
            self.assertIsNone(found["residence"])


class Forms(unittest.TestCase):
    def test_once(self):
        with Subject(NEARHEAP_TOPOLOGY=FOUR_NODES) as subject:
            ran = top("--once", subject.pid)
            self.assertEqual((ran.returncode, ran.stderr), (0, ""))
            self.assertIn(f"({subject.pid})", ran.stdout.splitlines()[0])
            for word in ("node ", "in use", "borrowed", "elsewhere", "memory of", "size classes"):
                self.assertIn(word, ran.stdout)
            rows = [line.split()[0] for line in ran.stdout.splitlines()[3:8]]
            self.assertEqual(rows, ["0", "1", "2", "3", "all"])

    def test_resident_in_all(self):
        """Also of a process on one node, whose memory is all among the rest."""
        with Subject() as subject:
            subject.settle()
            said = top("--once", subject.pid).stdout.split("\n")[0]
            with open(f"/proc/{subject.pid}/status", encoding="ascii") as file:
                kib = int(re.search(r"^VmRSS:\s+(\d+) kB$", file.read(), re.M)[1])
        told, unit = re.search(r", VmRSS ([\d.]+)([KMG])$", said).groups()
        told = float(told) * {"K": 1, "M": 1 << 10, "G": 1 << 20}[unit]
        self.assertLess(abs(told - kib), kib / 2)  # it holds still; the kernel counts by CPU

    def test_all(self):
        with Subject() as one, Subject() as other:
            lines = [line.split() for line in top("--all").stdout.splitlines()]
            pids = {int(line[0]) for line in lines if line[0].isdigit()}
            self.assertLessEqual({one.pid, other.pid}, pids)
            found = {process["pid"] for process in json.loads(top("--all", "--json").stdout)}
            self.assertLessEqual({one.pid, other.pid}, found)

    def test_age(self):
        """Of a process that is stopped: in its first line, and at the end of its line of all."""
        with Subject() as subject:
            os.kill(subject.pid, signal.SIGSTOP)
            line = until("old figures", lambda: re.search(
                rf"^ *{subject.pid} .*  \d+ s old$", top("--all").stdout, re.M))
            self.assertIn(" top_program ", line[0])
            self.assertRegex(top("--once", subject.pid).stdout.split("\n")[0],
                             r"figures are \d+ s old")
            os.kill(subject.pid, signal.SIGCONT)

    def test_prometheus(self):
        with Subject(NEARHEAP_TOPOLOGY=FOUR_NODES) as subject:
            subject.settle()
            found = json.loads(top("--json", subject.pid).stdout)
            metrics = parse_prometheus(top("--prometheus", subject.pid).stdout)
            parse_prometheus(top("--all", "--prometheus").stdout)
        process = f'pid="{subject.pid}",command="top_program"'
        for node in found["nodes"]:
            labels = f'{process},node="{node["node"]}"'
            for name in set(node) - {"node", "hit_rate", "depot_rate"}:
                metric = f"nearheap_{name}"
                metric += "" if metric in metrics else "_total"
                self.assertEqual(metrics[metric][labels], node[name], metric)
        for row in found["classes"][1:]:
            labels = f'{process},class="{row["object_bytes"]}"'
            self.assertEqual(metrics["nearheap_class_live_bytes"].get(labels, 0),
                             row["live_bytes"])

    def test_dashboard_asks_for_what_there_is(self):
        with Subject(NEARHEAP_TOPOLOGY=FOUR_NODES) as subject:
            metrics = parse_prometheus(top("--prometheus", subject.pid).stdout)
        with open(DASHBOARD) as file:
            dashboard = json.load(file)
        asked = re.findall(r"nearheap_\w+", json.dumps(
            [panel.get("targets") for panel in dashboard["panels"]] +
            dashboard["templating"]["list"]))
        self.assertGreater(len(asked), 10)
        self.assertLessEqual(set(asked), set(metrics))

    def test_file_is_whole(self):
        with tempfile.TemporaryDirectory() as folder, Subject() as subject:
            path = f"{folder}/nearheap.prom"
            ran = top("--prometheus", "--output", path, subject.pid)
            self.assertEqual((ran.returncode, ran.stdout, ran.stderr), (0, "", ""))
            with open(path) as file:
                self.assertIn("nearheap_live_bytes", parse_prometheus(file.read()))
            self.assertEqual(os.listdir(folder), ["nearheap.prom"])
            for to, said in ((f"{folder}/none/x", errno.ENOENT), ("/dev/full", errno.ENOSPC)):
                ran = top("--prometheus", "--output", to, subject.pid)
                self.assertEqual((ran.returncode, ran.stderr), (
                    2, f"nearheap-top: cannot write {to}: {os.strerror(said)}\n"))
            # What one of its number left that was killed is in nobody's way.
            ran = top("--output", path, subject.pid,
                      preexec_fn=lambda: os.mkdir(f"{path}.{os.getpid()}"))
            self.assertEqual((ran.returncode, ran.stderr), (0, ""))

    def test_file_stays_what_it_is(self):
        with tempfile.TemporaryDirectory() as folder, Subject() as subject:
            def put(path, status=0):
                """With the strictest mask."""
                ran = top("--prometheus", "--output", path, subject.pid, umask=0o077)
                self.assertEqual((ran.returncode, ran.stdout), (status, ""), ran.stderr)

            def mode_of(path):
                return stat.S_IMODE(os.lstat(path).st_mode)

            whole, link, pipe = (f"{folder}/{name}" for name in ("whole", "link", "pipe"))
            put(whole)
            self.assertEqual(mode_of(whole), 0o644)
            os.chmod(whole, 0o640)
            os.symlink("whole", link)
            before = os.stat(whole).st_ino
            put(link)
            self.assertEqual(os.readlink(link), "whole")
            self.assertNotEqual(os.stat(whole).st_ino, before)
            self.assertEqual(mode_of(whole), 0o640)
            os.unlink(whole)
            put(link)
            self.assertEqual(os.readlink(link), "whole")
            with open(whole, encoding="utf-8") as file:
                self.assertIn("nearheap_live_bytes", file.read())
            # Open for both, so that nobody waits for the other; what is written fits into it.
            os.mkfifo(pipe)
            with open(os.open(pipe, os.O_RDWR | os.O_NONBLOCK), "rb") as reader:
                fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 1 << 20)
                put(pipe)
                self.assertIn(b"nearheap_live_bytes", reader.read())
            self.assertTrue(stat.S_ISFIFO(os.lstat(pipe).st_mode))
            put(folder, status=2)
            self.assertEqual(sorted(os.listdir(folder)), ["link", "pipe", "whole"])

    def test_arguments(self):
        for wrong in (["--moon"], ["x"], ["0"], ["-5"], ["1", "2"], ["--all", "1"], ["--output"],
                      ["--json", "--once"], ["--interval", "0"], ["--interval", "1x"],
                      ["99999999999"]):
            ran = top(*wrong)
            self.assertEqual((ran.returncode, ran.stdout), (2, ""), wrong)
            self.assertIn("--help", ran.stderr)
        for wrong in (["-x"], ["--all", "-xh"], ["1", "-xh"]):
            self.assertIn("unknown argument '-x'", top(*wrong).stderr)
        self.assertIn("unknown argument '--all=1'", top("--all=1").stderr)
        self.assertEqual(top("--help").returncode, 0)
        with subprocess.Popen(["true"]) as gone:
            pass
        ran = top(gone.pid)
        self.assertEqual((ran.returncode, ran.stdout), (1, ""))
        self.assertIn("no process", ran.stderr)

    def test_containers_are_named(self):
        command = ["unshare", "--mount", "sh", "-c",
                   "mount -t tmpfs none /dev/shm && echo ready && exec cat"]
        if os.geteuid() != 0 or subprocess.run(command, stdin=subprocess.DEVNULL,
                                               capture_output=True).returncode != 0:
            self.skipTest("no container can be made here")
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as inside:
            self.assertEqual(inside.stdout.readline(), b"ready\n")
            ran = top(inside.pid)
            self.assertEqual((ran.returncode, ran.stdout), (1, ""))
            self.assertIn("runs in a container", ran.stderr)
            inside.stdin.close()


class Guest(unittest.TestCase):
    """Where memory is, on four nodes with a CPU each; by figures that were begun when the
    program was ready."""

    SCRIPT = f"""mkfifo /hold
LD_PRELOAD={LIBRARY} NEARHEAP_SHARE=1 {PROGRAM} spread </hold >/ready &
exec 3>/hold
generation() {{
    {TOP} --json $! 2>/dev/null | sed -n 's/.*"generation": \\([0-9]*\\).*/\\1/p'
}}
until [ -s /ready ] && seen=$(generation) && [ -n "$seen" ]; do sleep 0.1; done
until [ "$(generation)" -gt $((seen + 1)) ]; do sleep 0.1; done
{TOP} --json $!"""
    SPREAD_BYTES = 4000000

    def test_residence(self):
        ran = subprocess.run(
            [*VM, "--nodes", "4", "--cpus", "1", "--copy", TOP, "--copy", LIBRARY, "--copy",
             PROGRAM, "--timeout", "300", "--", "sh", "-c", self.SCRIPT],
            stdout=subprocess.PIPE, text=True)
        self.assertEqual(ran.returncode, 0)
        found = json.loads(ran.stdout)
        self.assertEqual([node["node"] for node in found["nodes"]], [0, 1, 2, 3])
        for node in found["nodes"]:
            self.assertGreaterEqual(node["live_bytes"], self.SPREAD_BYTES)
        placed = {home: {row["node"]: row["bytes"] for row in found["residence"]
                         if row["home"] == home} for home in "0123"}
        for home, where in placed.items():
            self.assertEqual(set(where), {home})
            self.assertGreaterEqual(where[home], self.SPREAD_BYTES)


if __name__ == "__main__":
    if VM:
        for program in ("qemu-system-x86_64", "busybox"):
            if shutil.which(program) is None:
                print(f"there is no {program}")
                sys.exit(SKIPPED)
        unittest.main(argv=[sys.argv[0], "Guest"])
    del Guest
    if not os.access("/dev/shm", os.W_OK):
        print("there is no /dev/shm")
        sys.exit(SKIPPED)
    unittest.main(argv=sys.argv[:1])
