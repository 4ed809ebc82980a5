#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is said of wrong uses of objects between guard pages, line by line, and how the process
ends; the calls are told by name as addr2line tells them.

    wrong.py PROGRAM ADDR2LINE"""

import os
import re
import signal
import subprocess
import sys

PROGRAM, ADDR2LINE = sys.argv[1:]
OBJECT = "an object of 100 bytes at @"
ALLOCATED = ("allocated", ["make", "make_at"])
FREED = ("freed", ["drop"])
FREED_ELSEWHERE = ("freed", ["drop", "drop_in_thread"])

# Mode: signal, first line, functions of the frames right below it, what follows.
CASES = {
    "overflow_write": (signal.SIGSEGV, "buffer overflow: write to @, 12 bytes behind the end of "
                       f"{OBJECT}, by thread N at:", ["write_to"], [ALLOCATED]),
    "overflow_read": (signal.SIGSEGV, "buffer overflow: read of @, 100 bytes behind the end of "
                      f"{OBJECT}, by thread N at:", ["read_from"], [ALLOCATED]),
    "underflow_write": (signal.SIGSEGV, "buffer underflow: write to @, 1 bytes before "
                        f"{OBJECT}, by thread N at:", ["write_to"], [ALLOCATED]),
    "underflow_read": (signal.SIGSEGV, "buffer underflow: read of @, 50 bytes before "
                       f"{OBJECT}, by thread N at:", ["read_from"], [ALLOCATED]),
    "freed_read": (signal.SIGSEGV, "use after free: read of @, 24 bytes inside "
                   f"{OBJECT}, by thread N at:", ["read_from"], [ALLOCATED, FREED]),
    "freed_write_behind": (signal.SIGSEGV, "use after free: write to @, 12 bytes behind the end "
                           f"of {OBJECT}, by thread N at:", ["write_to"],
                           [ALLOCATED, FREED_ELSEWHERE]),
    "jump": (signal.SIGSEGV, "use after free: jump to @, 0 bytes inside "
             f"{OBJECT}, by thread N at:", [None], [ALLOCATED, FREED]),
    "freed_twice": (signal.SIGABRT, "bad free of @: already free", [],
                    [ALLOCATED, FREED_ELSEWHERE]),
    "freed_inside": (signal.SIGABRT, f"bad free of @: inside {OBJECT}", [], [ALLOCATED]),
    "freed_beside": (signal.SIGABRT, f"bad free of @: beside {OBJECT}", [], [ALLOCATED]),
    "realloc_inside": (signal.SIGABRT, f"bad realloc of @: inside {OBJECT}", [], [ALLOCATED]),
    "realloc_freed": (signal.SIGABRT, "bad realloc of @: already free", [], [ALLOCATED, FREED]),
}


def fail(mode, said, *words):
    sys.exit(f"wrong.py: {mode}: " + " ".join(map(str, words)) + "\nit said:\n" + said)


def function(path, address):
    told = subprocess.run([ADDR2LINE, "-f", "-e", path, address], check=True, text=True,
                          stdout=subprocess.PIPE)
    return told.stdout.splitlines()[0]


def take_frames(lines):
    """The frames that come next, by function where they are the program's."""
    names = []
    while lines and lines[0].startswith("nearheap:   #"):
        found = re.fullmatch(r"nearheap:   #(\d+) 0x[0-9a-f]+(?: (/.*)\+(0x[0-9a-f]+))?",
                             lines.pop(0))
        if not found or int(found[1]) != len(names):
            return None
        mine = found[2] is not None and os.path.samefile(found[2], PROGRAM)
        names.append(function(found[2], found[3]) if mine else None)
    return names


def as_pattern(text, process):
    if text.startswith("bad "):
        text += f" (thread N of process {process})"
    return "nearheap: " + re.escape(text).replace("@", "0x[0-9a-f]+").replace(r"thread\ N",
                                                                              r"thread\ \d+")


def check(mode, end, first, frames, history, **environment):
    with subprocess.Popen([PROGRAM, mode], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True,
                          env={**os.environ, "NEARHEAP_GUARD": "1", **environment}) as run:
        said = run.communicate()[0]
    lines = said.splitlines()
    if run.returncode != -end:
        fail(mode, said, "ended with", run.returncode, "not", -end)
    if not lines or not re.fullmatch(as_pattern(first, run.pid), lines.pop(0)):
        fail(mode, said, "does not begin with", first)
    at = take_frames(lines)
    if at is None or at != frames:
        fail(mode, said, "was at", at, "not", frames)
    for what, names in history:
        if not lines or not re.fullmatch(rf"nearheap: {what} by thread \d+ at:", lines.pop(0)):
            fail(mode, said, "does not tell who", what, "it")
        stack = take_frames(lines)
        if stack is None or stack[:len(names)] != names:
            fail(mode, said, what, "at", stack, "not", names)
    if lines:
        fail(mode, said, "goes on with", lines)


def main():
    for mode, case in CASES.items():
        check(mode, *case)
    # On four nodes, and with a profile, which samples the same objects.
    for mode in ("overflow_write", "freed_twice"):
        check(mode, *CASES[mode], NEARHEAP_TOPOLOGY="synthetic:numa:4 core:2 pu:1")
        check(mode, *CASES[mode], NEARHEAP_PROFILE="/dev/null", NEARHEAP_PROFILE_RATE="1")
    # A wrong free may be gone on with.
    check("freed_twice", 0, *CASES["freed_twice"][1:], NEARHEAP_BAD_FREE="report")


if __name__ == "__main__":
    main()
