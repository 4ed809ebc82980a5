# SPDX-License-Identifier: LGPL-2.1-or-later
"""top_subject.py: nearheap-top, and a program that it looks at, for top_test.py, whose arguments
these are."""

import contextlib
import os
import pty
import struct
import subprocess
import sys
import tempfile
import time

TOP, LIBRARY, PROGRAM, DASHBOARD = sys.argv[1:5]
FOLDER = f"/dev/shm/nearheap-{os.geteuid()}"
FOUR_NODES = "synthetic:numa:4 core:2 pu:1"
PATIENCE = 60
NOBODY = 65534
FORMS = ("--once", "--json", "--prometheus")


def until(what, condition):
    """Waits until the condition's value is true, and returns it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {PATIENCE} s")


def top(*arguments, **more):
    return subprocess.run([TOP, *map(str, arguments)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, **more)


def on_terminal(*arguments, terminal="none", **more):
    """The same with standard output, and input unless told otherwise, a terminal that is of no
    known kind: status, what it shows, and standard error."""
    master, slave = pty.openpty()
    more = {"stdin": slave, "env": {**os.environ, "TERM": terminal}} | more
    with tempfile.TemporaryFile("w+") as errors, subprocess.Popen(
            [TOP, *map(str, arguments)], stdout=slave, stderr=errors, **more) as process:
        os.close(slave)
        shown = b""
        with contextlib.suppress(OSError):  # EIO: it has ended
            while part := os.read(master, 65536):
                shown += part
        os.close(master)
        status = process.wait()
        errors.seek(0)
        return status, shown.decode(errors="replace"), errors.read()


def path_of(pid):
    return f"{FOLDER}/{pid}"


def state_of(pid):
    """Of its first thread; Z when that has ended."""
    return stat_of(pid)[0]


def started(pid):
    return int(stat_of(pid)[19])


def stat_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rsplit(")", 1)[1].split()


def generation(pid):
    with open(path_of(pid), "rb") as page:
        return struct.unpack_from("=Q", page.read(96), 88)[0]


class Subject:
    """The program, on nearheap, with a page; ends when its standard input is closed."""

    def __init__(self, *mode, page=True, wait=True, **environment):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("NEARHEAP_")} | {
            "LD_PRELOAD": LIBRARY, "NEARHEAP_SHARE": str(int(page))} | environment
        self.process = subprocess.Popen([PROGRAM, *(mode or ("hold",))], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env=environment)
        self.pid, self.child, self.ended = self.process.pid, None, False
        for line in self.process.stdout:
            if line.startswith("child "):
                self.child = int(line.split()[1])
            if line == "ready\n":
                break
        if page and wait:
            until("a page", lambda: os.path.exists(path_of(self.pid)))

    def settle(self):
        """Until the page has figures that were begun when it was all done."""
        seen = generation(self.pid)
        until("newer figures", lambda: generation(self.pid) > seen + 1)

    def end(self):
        self.ended = True
        self.process.stdin.close()
        status = self.process.wait()
        self.process.stdout.close()
        with self.process.stderr:
            return status, self.process.stderr.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.ended:
            self.process.kill()
            self.end()
