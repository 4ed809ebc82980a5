# SPDX-License-Identifier: LGPL-2.1-or-later
"""top_strangers.py: pages whose makers mean ill, and other users, for top_test.py."""

import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import unittest

from top_subject import (FOLDER, FORMS, FOUR_NODES, NOBODY, PATIENCE, Subject, on_terminal, path_of,
                         started, top)

# Users who have no folder, and are not met by a test that runs at the same time.
NEWCOMERS = [56000 + os.getpid() % 1000 * 3 + i for i in range(3)]
NAMES = range(10000000, 10070000)  # of no processes
LIST_OF_USER = 1024  # as top_list.h has it
DESCRIPTORS = 256


class Hostile(unittest.TestCase):
    """Pages whose makers mean ill crash nothing, and are no reason to wait."""

    def test_pages(self):
        chance = random.Random(1)
        with Subject(NEARHEAP_TOPOLOGY=FOUR_NODES) as subject:
            with open(path_of(subject.pid), "rb") as file:
                good = file.read()
        # This process's number is put in, and its start, so that the page is looked at.
        good = bytearray(good)
        struct.pack_into("=q", good, 40, os.getpid())
        struct.pack_into("=Q", good, 56, started(os.getpid()))
        path = path_of(os.getpid())
        self.addCleanup(lambda: os.path.lexists(path) and os.unlink(path))
        taken = 0
        for i in range(60):
            page = bytearray(good)
            for _ in range(i * i):
                page[chance.randrange(0 if i % 2 else 96, 30000)] = chance.randrange(256)
            if i % 4 == 3:
                del page[chance.randrange(len(page)):]
            with open(path, "wb") as file:
                file.write(page)
            ran = top(FORMS[i % 3], "--no-residence", os.getpid())
            self.assertIn(ran.returncode, (0, 1), ran)
            self.assertTrue(ran.stdout.isascii())
            taken += ran.returncode == 0
        self.assertGreater(taken, 0)
        self.assertIn(top("--all").returncode, (0,))

    def test_page_of_anothers_process(self):
        if os.geteuid() != 0:
            self.skipTest("only root may make files of another user")
        folder = f"/dev/shm/nearheap-{NOBODY}"
        with Subject() as subject:
            with open(path_of(subject.pid), "rb") as file:
                page = file.read()
            os.unlink(path_of(subject.pid))
            self.assertEqual(top("--json", subject.pid).returncode, 1)
            if not os.path.exists(folder):
                os.mkdir(folder, 0o700)
                os.chown(folder, NOBODY, NOBODY)
            path = f"{folder}/{subject.pid}"
            with open(path, "wb") as file:
                file.write(page)
            try:
                self.assertEqual(top("--json", subject.pid).returncode, 0)  # root's own
                os.chown(path, NOBODY, NOBODY)
                self.assertEqual(top("--json", subject.pid).returncode, 1)
            finally:
                os.unlink(path)

    def others_folder(self, place, user):
        """Which goes with the test."""
        if os.geteuid() != 0:
            self.skipTest("only root may make files of another user")
        folder = f"{place}/nearheap-{user}"
        os.mkdir(folder, 0o700)
        self.addCleanup(shutil.rmtree, folder)
        os.chown(folder, user, user)
        return folder

    def test_empty_files_take_no_place(self):
        """Of a page in the folder between theirs, whichever comes first."""
        folders = [self.others_folder("/dev/shm", user) for user in NEWCOMERS]
        with Subject() as subject:
            os.rename(path_of(subject.pid), f"{folders[1]}/{subject.pid}")
            for folder in folders[0], folders[2]:
                for name in NAMES:
                    os.mknod(f"{folder}/{name}")
            found = json.loads(top("--all", "--json", "--no-residence").stdout)
            self.assertIn(subject.pid, [process["pid"] for process in found])

    def test_many_processes_of_one_user(self):
        """They are bounded, and there are descriptors left for another's."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if hard != resource.RLIM_INFINITY and hard < 2 * LIST_OF_USER:
            self.skipTest(f"there may be no more than {hard} descriptors")
        folder = self.others_folder("/tmp", NEWCOMERS[0])
        with Subject() as subject:
            with open(path_of(subject.pid), "rb") as file:
                page = bytearray(file.read())
            start = (f"i=0; while [ $i -lt {LIST_OF_USER + 20} ]; do sleep {PATIENCE * 10} "
                     ">/dev/null & echo $!; i=$((i + 1)); done; wait")
            with subprocess.Popen(["sh", "-c", start], stdout=subprocess.PIPE, text=True,
                                  user=NEWCOMERS[0], start_new_session=True) as flood:
                try:
                    pids = [int(flood.stdout.readline()) for _ in range(LIST_OF_USER + 20)]
                    for pid in pids:
                        self.write_page_of(pid, page, f"{folder}/{pid}")
                    ran = top("--all", "--json", "--no-residence", preexec_fn=lambda:
                              resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard)))
                    status, shown, said = on_terminal("--all")
                finally:
                    os.killpg(flood.pid, signal.SIGKILL)
            found = {process["pid"] for process in json.loads(ran.stdout)}
            self.assertEqual(len(found & set(pids)), LIST_OF_USER)
            self.assertIn(subject.pid, found)
            self.assertIn("20 processes are left out", ran.stderr)
            # Where there is to be a screen, and cannot be.
            self.assertEqual((status, f"{subject.pid} " in shown), (0, True))
            self.assertIn("20 processes are left out", said)

    @staticmethod
    def write_page_of(pid, page, path):
        """As that process would; what is zero takes no memory."""
        struct.pack_into("=q", page, 40, pid)
        struct.pack_into("=Q", page, 56, started(pid))
        with open(path, "wb") as file:
            for at in range(0, len(page), 4096):
                if any(page[at:at + 4096]):
                    os.pwrite(file.fileno(), page[at:at + 4096], at)
            os.truncate(file.fileno(), len(page))
            os.chown(file.fileno(), NEWCOMERS[0], NEWCOMERS[0])

    def test_what_is_no_file(self):
        path = path_of(os.getpid())
        os.makedirs(FOLDER, 0o700, exist_ok=True)
        for make, remove in ((os.mkfifo, os.unlink), (os.mkdir, os.rmdir),
                             (lambda at: os.symlink("/dev/zero", at), os.unlink)):
            make(path)
            try:
                self.assertEqual(top("--once", os.getpid()).returncode, 1)
                self.assertEqual(top("--all").returncode, 0)
            finally:
                remove(path)
