# SPDX-License-Identifier: LGPL-2.1-or-later
"""top_screen.py: nearheap-top's screen under a terminal, and where it has none, for top_test.py."""

import contextlib
import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import tempfile
import termios
import time
import unittest

from top_subject import (FOUR_NODES, PATIENCE, PROGRAM, TOP, Subject, on_terminal, path_of, top,
                         until)

RESTORED = "\x1b[?1049l"  # an xterm is told to show what it did before


class Screen(unittest.TestCase):
    """The live screen under a pseudo-terminal."""

    def drive(self, arguments, steps):
        """For each (words, keys): waits until all the words have been drawn, presses the
        keys, or does what they are if that is called, and has the whole screen drawn; its status
        and the last that it drew."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.update(TERM="xterm", LC_ALL="C.UTF-8")
            os.execv(TOP, [TOP, *map(str, arguments)])
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 170, 0, 0))
        try:
            for words, keys in steps:
                end, seen = time.monotonic() + PATIENCE, ""
                while not all(word in seen for word in words):
                    self.assertLess(time.monotonic(), end, (words, seen))
                    if select.select([terminal], [], [], 0.1)[0]:
                        seen += os.read(terminal, 65536).decode(errors="replace")
                    else:  # parts that are as before are not drawn by themselves
                        os.write(terminal, b"\x0c")
                if callable(keys):
                    keys()
                    keys = ""
                os.write(terminal, keys.encode() + b"\x0c")
            last = b""
            with contextlib.suppress(OSError):  # EIO: it has ended
                while part := os.read(terminal, 65536):
                    last += part
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            return status, last.decode(errors="replace")
        finally:
            os.close(terminal)

    def setUp(self):
        if "without ncurses" in top("--help").stdout:
            self.skipTest("built without ncurses")

    def test_process(self):
        with Subject(NEARHEAP_TOPOLOGY=FOUR_NODES) as subject:
            status, _ = self.drive([subject.pid, "--interval", "0.2"], [
                ((f"({subject.pid})", "in use", "last minute", "freed/s", "size classes", "█"), "t"),
                (("freed by",), "c"), (("live objects",), "s"), (("by live",), "q")])
            self.assertEqual(status, 0)

    def test_list(self):
        with Subject() as subject:
            status, _ = self.drive(["--all"], [((str(subject.pid), "command"), "q")])
            self.assertEqual(status, 0)

    def test_interrupted(self):
        """As by q, also while it waits for long."""
        with Subject() as subject:
            status, last = self.drive([subject.pid, "--interval", "3600"],
                                      [((f"({subject.pid})",), "\x03")])
            self.assertEqual(status, 0)
            self.assertIn(RESTORED, last)

    def test_another_program(self):
        """That a process runs in place of the first: its figures are in another file."""
        with tempfile.TemporaryDirectory() as folder:
            for arguments in (["--all"], []):
                with Subject("execs", f"{folder}/next") as subject:
                    name = f"next{subject.pid}"
                    os.symlink(PROGRAM, f"{folder}/{name}")
                    before = os.stat(path_of(subject.pid)).st_ino

                    def go_on(subject=subject, before=before):
                        subject.process.stdin.write("\n")
                        subject.process.stdin.flush()
                        until("its page",
                              lambda: os.stat(path_of(subject.pid)).st_ino != before)

                    status, _ = self.drive([*(arguments or [subject.pid]), "--interval", "0.2"], [
                        (("top_program", str(subject.pid)), go_on), ((name,), "q")])
                    self.assertEqual(status, 0)

    def test_seldom(self):
        with Subject() as subject:
            status, _ = self.drive([subject.pid, "--interval", "2"],
                                   [(("last 60 looks, 2 s apart",), "q")])
            self.assertEqual(status, 0)

    def test_without_keys(self):
        """Nobody could end it: the tables, once."""
        with Subject() as subject:
            status, shown, said = on_terminal(subject.pid, terminal="xterm",
                                              stdin=subprocess.DEVNULL)
            self.assertEqual((status, said), (0, ""))
            self.assertIn("in use", shown)
            self.assertNotIn(RESTORED, shown)

    def test_numbers_are_the_same_everywhere(self):
        with tempfile.TemporaryDirectory() as folder, Subject() as subject:
            if shutil.which("localedef") is None or subprocess.run(
                    ["localedef", "-i", "de_DE", "-f", "UTF-8", f"{folder}/de_DE.UTF-8"],
                    capture_output=True).returncode != 0:
                self.skipTest("no locale can be made here")
            status, shown, _ = on_terminal(subject.pid, env={
                **os.environ, "TERM": "none", "LOCPATH": folder, "LC_ALL": "de_DE.UTF-8"})
            self.assertEqual(status, 0)
            self.assertRegex(shown, r"\d\.\dM")
            self.assertIsNone(re.search(r"\d,\d", shown))

    def test_resized(self):
        with Subject(NEARHEAP_TOPOLOGY=FOUR_NODES) as subject:
            pid, terminal = pty.fork()
            if pid == 0:
                os.environ.update(TERM="xterm", LC_ALL="C")
                os.execv(TOP, [TOP, str(subject.pid)])
            for rows, columns in ((50, 170), (3, 10), (1, 1), (40, 100)):
                fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
                self.assertTrue(select.select([terminal], [], [], PATIENCE)[0])
                os.read(terminal, 65536)
            os.write(terminal, b"q")
            with contextlib.suppress(OSError):
                while os.read(terminal, 65536):
                    pass
            os.close(terminal)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
