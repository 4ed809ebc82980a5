#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tools/trace records and what the workloads replay_* do, counted.

    trace_test.py record BUILD PROGRAM    traces of trace_program against what it does
    trace_test.py replay WORKLOAD [LIB]   replays of the traces in git against what
                                          they hold, with LIB preloaded
"""

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TRACE = os.path.join(ROOT, "tools", "trace")
sys.path.insert(0, os.path.dirname(TRACE))
import trace_format

# trace_program.c: (call, size, alignment) and how often.
SWAPS, SWAPPERS, SLOTS, HANDED, LEFT, LEFT_SIZE, GROWN = 20000, 3, 4, 300, 9, 1033, 2003
EXPECTED = {
    ("malloc", 1009, 1): 1000, ("malloc", 1013, 1): HANDED, ("malloc", 1021, 1): 0,
    ("malloc", 1031, 1): SWAPS * SWAPPERS, ("realloc", 3 * 1031, 1): SWAPS * SWAPPERS // 2,
    ("malloc", LEFT_SIZE, 1): LEFT, ("calloc", 7 * 157, 1): 1, ("malloc", 1049, 1): 1,
    ("malloc", GROWN, 1): 1, **{("realloc", GROWN + i, 1): 1 for i in range(1, 101)},
    ("aligned", 1061, 64): 1, ("aligned", 1152, 128): 1, ("aligned", 1063, 256): 1}
SIZES = {size for _, size, _ in EXPECTED}
ENDS = {"exit": 3, "_exit": 3, "kill": 128 + 15}
# What one thread frees another gets at once: glibc keeps nothing for threads.
SHARED = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0:glibc.malloc.arena_max=1"}
# Events: after malloc(1009) was called, before malloc(LEFT_SIZE) is.
SKIP = 2300
MOST_MEMORY = 1 << 30  # of a process that reads a damaged trace


def same(what, found, expected):
    if found != expected:
        sys.exit(f"trace_test: {what}: {found}, where {expected} is right")


def show(path):
    return json.loads(subprocess.run([TRACE, "show", "--json", path], check=True,
                                     capture_output=True, text=True).stdout)


def record(build, out, command, *options, **environment):
    return subprocess.run([TRACE, "record", "--build", build, *options, out, "--", *command],
                          env={**os.environ, **environment}, capture_output=True, text=True)


def kinds_of(found):
    return {(kind["call"], kind["size"], kind["alignment"]): kind["count"]
            for kind in found["kinds"]}


def check_counts(path):
    found = show(path)
    kinds = kinds_of(found)
    for kind, times in EXPECTED.items():
        same(f"{kind}", kinds.get(kind, 0), times)
    # Of these sizes all but some were freed: the trace says by whom and which.
    trace = trace_format.read_trace(path)
    maker, size_of, foreign = {}, {}, 0
    for thread, token, number, kind in trace.events:
        if token == trace_format.TOKEN_FREE:
            if maker.pop(number) != thread and size_of[number] == 1013:
                foreign += 1
            del size_of[number]
            continue
        maker.setdefault(number, thread)
        size_of[number] = trace.kinds[kind][1]
    left = sorted(size for size in size_of.values() if size in SIZES)
    same("objects freed by another thread", foreign, HANDED)
    same("objects left", left, [LEFT_SIZE] * LEFT)
    same("objects left, as show has it", found["left_objects"], len(size_of))
    same("threads with events", len([times for times in found["threads"] if times >= SWAPS]),
         SWAPPERS)


def check_hostile(folder):
    """Traces that ask for more than they hold: each is refused, in little memory."""
    def numbers(*those):
        data = bytearray()
        for one in those:
            trace_format.put_number(data, one)
        return bytes(data)

    def packed(*those):
        data = numbers(*those)
        return numbers(len(data)) + trace_format.compress(data)

    path = os.path.join(folder, "hostile.trace")
    kind = (1, 8, 0)
    for what, data, status in (
            ("a sound one", packed(1, 1, 1, 1, *kind, 3), 0),
            ("a long number", b"\x80" * (1 << 20) + b"\1", 1),
            ("a number of 71 bits", packed(1, 1, 1, 1, 1, 1 << 70, 0, 3), 1),
            ("a size of 64 bits", packed(1, 1, 1, 1, 1, (1 << 64) - 1, 0, 3), 0),
            ("more threads than events", packed(1 << 50, 1, 1, 1, *kind, 3), 1),
            ("an alignment of 2 to the power of 2 to the power of 40",
             packed(1, 1, 1, 1, 3, 8, 1 << 40, 3), 1),
            ("a long match", numbers(8, 0) + b"x" + numbers((1 << 50) * 2 + 1, 1), 1),
            ("long contents", numbers(1 << 50, 0) + b"x" + numbers((1 << 50) * 2 + 1, 1), 1)):
        with open(path, "wb") as file:
            file.write(trace_format.MAGIC + data)
        shown = subprocess.run(["prlimit", f"--as={MOST_MEMORY}", TRACE, "show", path],
                               capture_output=True, text=True)
        same(f"status of {what} ({shown.stderr})", shown.returncode, status)
        same(f"lines said of {what} ({shown.stderr})", shown.stderr.count("\n"), status)


def check_ends(build, folder, program):
    """An interrupt ends show without a word; a full output is told by its name."""
    fifo = os.path.join(folder, "fifo")
    os.mkfifo(fifo)
    with subprocess.Popen([TRACE, "show", fifo], stderr=subprocess.PIPE, text=True) as process:
        with open(fifo, "w", encoding="ascii"):  # it has opened it, too
            process.send_signal(signal.SIGINT)
            same("an interrupt", (process.wait(), process.stderr.read()), (-signal.SIGINT, ""))
    ran = record(build, "/dev/full", [program, "exit"])
    same("a full output", (ran.returncode, ran.stderr),
         (125, f"trace: /dev/full: {os.strerror(errno.ENOSPC)}\n"))


def check_recorders_path(build, folder, program):
    """What LD_PRELOAD cannot name is refused before the program runs."""
    for name in "a folder", "a:folder":
        os.makedirs(os.path.join(folder, name, "tools"))
        path = os.path.join(folder, name, "tools", "libtrace_record.so")
        os.symlink(os.path.join(build, "tools", "libtrace_record.so"), path)
        ran = record(os.path.join(folder, name), os.path.join(folder, "none.trace"),
                     [program, "exit"])
        same(f"a recorder in {name}", (ran.returncode, ran.stderr),
             (125, f"trace: {path}: LD_PRELOAD cannot name a file with a space or a colon in its "
                   "path: give --build one without\n"))


def test_record(build, program):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "program.trace")
        for environment in ({}, SHARED):
            for end, status in ENDS.items():
                ran = record(build, path, [program, end], **environment)
                same(f"status of {end} ({ran.stderr})", ran.returncode, status)
                check_counts(path)
                print(f"{end}: as expected")
        whole = show(path)["events"]
        ran = record(build, path, [program, "exit"], "--skip", str(SKIP), "--events", "5000")
        same(f"status with limits ({ran.stderr})", ran.returncode, 3)
        limited, kinds = show(path)["events"], kinds_of(show(path))
        if not 4000 < limited <= 5000 < whole:
            sys.exit(f"trace_test: --events 5000 gave {limited} events of {whole}")
        same("skipped mallocs, and some that are not",
             (kinds.get(("malloc", 1009, 1), 0), kinds.get(("malloc", LEFT_SIZE, 1), 0)), (0, LEFT))
        same("status of a command that is not there",
             record(build, path, [os.path.join(folder, "none")]).returncode, 125)
        with open(path, "r+b") as file:
            file.seek(20)
            file.truncate()
        damaged = subprocess.run([TRACE, "show", path], capture_output=True, text=True)
        same(f"status of a damaged trace ({damaged.stderr})",
             (damaged.returncode, damaged.stderr.count("\n")), (1, 1))
        check_hostile(folder)
        check_ends(build, folder, program)
        check_recorders_path(build, folder, program)
        none = subprocess.run([TRACE, "show", os.path.join(folder, "\33[2J")], capture_output=True,
                              text=True)
        same(f"a name that a terminal would obey ({none.stderr!r})",
             (none.returncode, none.stderr[:-1].isprintable()), (1, True))


def test_replay(workload, library=None):
    environment = {**os.environ, **({"LD_PRELOAD": library} if library else {})}
    for name in ("redis", "sqlite", "rocksdb"):
        found = show(os.path.join(ROOT, "bench", "traces", f"{name}.trace"))
        operations = found["objects"] + found["calls"]["realloc"]
        alone = len(found["threads"]) == 1
        for threads in (1, 2, 3, 9):
            # So small a scale is one repetition.
            ran = subprocess.run([workload, "--threads", str(threads), "--scale", "0.001",
                                  f"replay_{name}"],
                                 env=environment, capture_output=True, text=True)
            same(f"status of {name} with {threads} threads ({ran.stderr})", ran.returncode, 0)
            done, rest = divmod(json.loads(ran.stdout)["operations"], operations)
            same(f"part of a repetition of {name} with {threads} threads", rest, 0)
            if alone:
                same(f"repetitions of {name} with {threads} threads", done, threads)
            elif not 1 <= done <= threads or (threads <= 2 and done != 1):
                sys.exit(f"trace_test: {threads} threads share {done} repetitions of {name}")
            print(f"{name}, {threads} threads: {done} times {operations} operations")


if sys.argv[1] == "record":
    test_record(*sys.argv[2:])
else:
    test_replay(*sys.argv[2:])
