# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all suites have in common: what a test is, how it is built and run, what is left out."""

import concurrent.futures
import dataclasses
import fnmatch
import importlib
import os
import re
import shutil
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = ("glibc", "gnulib", "mimalloc", "jemalloc", "gperftools", "onetbb")
LEFT_OUT = os.path.join(HERE, "left_out.txt")

# How a test is run: the name of the column, and what is set for it beside LD_PRELOAD.
ALONE = "glibc"
MODES = {ALONE: None, "nearheap": {}, "hardened": {"NEARHEAP_HARDEN": "1"}}

# All suites' programs are built with these: what the compiler knows of malloc must not remove
# its calls, and warnings are the authors' to mend.
FLAGS = ["-O2", "-g", "-w", "-fno-builtin", "-pthread"]
TIMEOUT = 900  # seconds; the slowest takes 40 on an idle machine, some minutes on a busy one
UNSUPPORTED = 77  # as a test's status


class Broken(Exception):
    """A program does not build."""


@dataclasses.dataclass
class Test:
    name: str
    sources: list
    flags: list = dataclasses.field(default_factory=list)
    libraries: list = dataclasses.field(default_factory=list)
    arguments: list = dataclasses.field(default_factory=list)
    environment: dict = dataclasses.field(default_factory=dict)
    # It tells of each of its cases by stand_in/cases.h.
    cases: bool = False
    slow: bool = False


@dataclasses.dataclass
class Outcome:
    """Of a test in one mode: of each case, and of the program, whose name is ''."""
    seconds: float
    passed: dict
    output: str
    unsupported: bool = False


def find(name):
    return importlib.import_module(name)


def compiler(source):
    return ["c++"] if source.endswith((".cc", ".cpp")) else ["cc", "-std=gnu11"]


def build(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    if done.returncode:
        raise Broken(done.stdout.strip())


def program(test, folder):
    """Builds a test; its path."""
    path = os.path.join(folder, test.name.replace("/", "."))
    build(compiler(test.sources[0]) + FLAGS + test.flags + test.sources + ["-o", path]
          + test.libraries)
    return path


def archive(sources, flags, path, jobs):
    """Builds a library of those of the sources that compile here: the linker tells what is
    missing."""
    def compiled(source):
        made = os.path.join(f"{path}.objects", os.path.basename(source) + ".o")
        try:
            build(compiler(source) + FLAGS + flags + ["-c", source, "-o", made])
        except Broken:
            return None
        return made

    os.makedirs(f"{path}.objects")
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        objects = [made for made in pool.map(compiled, sources) if made]
    build(["ar", "rcs", path] + objects)


def cases_of(output):
    return {name: verdict == "ok"
            for name, verdict in re.findall(r"^case (\S+): (ok|failed)$", output, re.M)}


def run(test, path, mode, library, folder):
    """A test's outcome in one mode."""
    place = os.path.join(folder, f"{test.name.replace('/', '.')}.{mode}.run")
    os.makedirs(place)
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("NEARHEAP_")}
    environment.update(test.environment, TMPDIR=place)
    environment.pop("LD_PRELOAD", None)
    if MODES[mode] is not None:
        environment.update(MODES[mode], LD_PRELOAD=library)
    begun = time.monotonic()
    try:
        done = subprocess.run([path] + test.arguments, cwd=place, env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace",
                              timeout=TIMEOUT, check=False)
        status, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        status, output = None, (late.stdout or b"").decode(errors="replace")
        output += f"\nnot done after {TIMEOUT} s"
    seconds = time.monotonic() - begun
    shutil.rmtree(place, ignore_errors=True)
    if status is not None and status < 0:
        output += f"\nended by signal {-status}"
    passed = cases_of(output) if test.cases else {}
    # Such a program's status tells of its cases, of which each counts by itself.
    passed[""] = "all cases were run" in output if test.cases else status in (0, UNSUPPORTED)
    return Outcome(seconds, passed, output, status == UNSUPPORTED)


def left_out():
    """[(suite, pattern of names, reason)] of the list."""
    found = []
    with open(LEFT_OUT, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip() or line.startswith("#"):
                continue
            parts = line.split(None, 2)
            if len(parts) != 3 or parts[0] not in NAMES:
                raise ValueError(f"{LEFT_OUT}:{number}: not 'SUITE TEST REASON'")
            found.append((parts[0], parts[1], parts[2].strip()))
    return found


class LeftOut:
    """Asks the list."""

    def __init__(self, suite):
        self.entries = [(pattern, reason) for name, pattern, reason in left_out() if name == suite]

    def reason(self, name):
        for pattern, reason in self.entries:
            if fnmatch.fnmatchcase(name, pattern):
                return reason
        return None
