# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every subject of these tests has in common: a server, or a program that works
like one, which is started, loaded, verified, measured and ended in the same order
under any allocator.

A subject is a file beside this one with a class Subject; README.md says what it has to
tell.  `run` plays it once under nearheap, bench/servers under all allocators in turn.
"""

import importlib
import json
import os
import reprlib
import shutil
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench"))
import hosted
import paired
from paired import Failed

# In the order in which they are tested and told.
NAMES = ["redis", "memcached", "postgresql", "mariadb", "rocksdb", "sqlite", "nginx", "clang",
         "node"]
SAMPLE_SECONDS = 0.1  # between two readings of what several processes have resident
TICK_SECONDS = 0.25   # between two requests while memory settles


class NotHere(Exception):
    """The subject cannot be played on this machine; the text says what is missing."""


def find(name):
    """The class of a subject."""
    if name not in NAMES:
        raise Failed(f"no subject is called '{name}': there are {', '.join(NAMES)}")
    return importlib.import_module(name).Subject


class Played(hosted.Hosted):
    """A subject under one allocator, from its beginning to its end.

    `programs` is a folder of what this project builds for the load; `scale` multiplies
    the work.
    """

    needs = ()               # programs that must be installed
    packages = ""            # Debian's packages that hold them
    several = False          # processes: what they have resident is sampled
    version = ("--version",) # arguments with which it does nothing, and ends

    def __init__(self, allocator, library, programs, scale):
        super().__init__(allocator, library)
        self.programs, self.scale = programs, scale
        self.figures = {}  # of each kind of work, its rate and 99th percentile
        self.memory = {}   # bytes
        self.peak = 0

    @classmethod
    def binary(cls, programs):
        """The program whose malloc is the point."""
        found = shutil.which(cls.needs[0], path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if found is None:
            raise NotHere(f"{cls.needs[0]} is not installed (Debian: {cls.packages})")
        return found

    @classmethod
    def check_here(cls, programs):
        cls.binary(programs)
        for name in cls.needs[1:]:
            if shutil.which(name) is None:
                raise NotHere(f"{name} is not installed (Debian: {cls.packages})")

    @classmethod
    def check_binding(cls, allocator, library, programs):
        """Fails unless malloc and free of the program are those of the library, also if
        it is linked with another allocator."""
        paired.check_binding(allocator, library, [cls.binary(programs), *cls.version])

    # ---- What a subject tells ----

    def prepare(self):
        """Makes what has to be there before the start."""

    def load(self):
        """Does work, and calls figure() for each kind of it."""
        raise NotImplementedError

    def verify(self):
        """Fails unless all data that the load left is right; may restart the server."""
        raise NotImplementedError

    def tick(self):
        """A request as small as there is, now and then while memory settles."""
        self.ready()

    def check(self, what, found, expected):
        if found != expected:
            short = reprlib.repr
            raise self.failed(f"{what}: {short(found)}, where {short(expected)} is right")

    def work(self, amount):
        """So much work at this scale."""
        return max(1, int(amount * self.scale))

    def figure(self, what, rate, p99):
        """Of some kind of work: how much a second, the 99th percentile of seconds each
        took (None: there is none)."""
        self.figures[what] = {"rate": rate, "p99": p99}

    # ---- Its course ----

    def restart(self):
        self.stop()
        self.start()
        self.wait_until_ready()

    def sample(self, done):
        while not done.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, self.resident())

    def peak_resident(self):
        if self.several:
            return max(self.peak, self.resident())
        return paired.memory(self.process.pid)["VmHWM"]

    def settled_resident(self):
        return self.resident() if self.several else paired.memory(self.process.pid)["VmRSS"]

    def settle(self, seconds):
        """Small requests for some time: allocators that give memory back when they are
        called do so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(TICK_SECONDS)
            self.tick()
            self.check_running("rest")

    def measured_load(self):
        done = threading.Event()
        sampler = threading.Thread(target=self.sample, args=[done])
        if self.several:
            sampler.start()
        try:
            self.load()
        finally:
            done.set()
            if self.several:
                sampler.join()
        self.check_running("load")
        self.memory["peak"] = self.peak_resident()

    def course(self, settle):
        self.prepare()
        self.start()
        self.wait_until_ready()
        self.measured_load()
        if settle > 0:
            self.settle(settle)
            self.memory["settled"] = self.settled_resident()
        self.verify()
        self.stop()

    def play(self, settle):
        """Everything, once; `settle` is how long memory may settle, in seconds."""
        try:
            self.course(settle)
        except OSError as lost:
            raise self.failed(str(lost)) from lost


class Worker(Played):
    """A subject that is a program of ours, in one process: it does its work, verifies
    it, prints one line of JSON and stays until its input ends.  Then it frees all."""

    program = ""  # its file in the folder of programs
    version = ()  # without arguments it explains its use

    @classmethod
    def binary(cls, programs):
        path = os.path.join(programs, cls.program)
        if not os.path.exists(path):
            raise NotHere(f"{cls.program} was not built in {programs} (it needs Debian's "
                          f"{cls.packages})")
        return path

    def start(self, **streams):
        super().start(stdin=subprocess.PIPE, stdout=subprocess.PIPE, **streams)

    def ready(self):
        try:
            self.check_mapped()
        except Failed:
            return False  # the loader is at work
        return True

    def load(self):
        line = self.process.stdout.readline()
        try:
            told = json.loads(line)
        except ValueError:
            self.process.wait()
            raise self.failed(f"ended with status {self.process.returncode}") from None
        for what, figure in told.items():
            self.figure(what, figure["rate"], figure["p99"])

    def verify(self):
        """It has: else it would not have printed its figures."""

    def tick(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def ask_to_end(self):
        self.process.stdin.close()
        self.process.stdout.close()
