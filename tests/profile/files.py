#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files that planted.c's process writes: when, where, and what is in them.

    files.py PROGRAM

Names are told by addr2line; pprof, where there is one, must read the files too."""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import pprof_format

PROGRAM = sys.argv[1]
KEPT, DROPPED, SIZE = 1000, 3000, 20480  # bytes of the size class
RATE = 16384                             # nearly every object is sampled
TYPES = [("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"),
         ("inuse_space", "bytes"), ("samples", "count")]


def fail(*words):
    sys.exit("files.py: " + " ".join(map(str, words)))


def run(mode, *arguments, status=0, **environment):
    run_ = subprocess.run([PROGRAM, mode, *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, "NEARHEAP_PROFILE_RATE": str(RATE), **environment})
    if run_.returncode != status or run_.stdout:
        fail(mode, "ended with", run_.returncode, "and said", run_.stdout)


def read(path):
    profile = pprof_format.Profile(path)
    if profile.types != TYPES or profile.default_type != "inuse_space":
        fail(path, "has the types", profile.types, profile.default_type)
    if profile.period_type != ("space", "bytes"):
        fail(path, "has the period type", profile.period_type)
    profile.name(address for sample in profile.samples for address in sample.stack)
    for sample in profile.samples:
        labels = {"alloc_node", "lifetime"}
        if sample.values["inuse_objects"] == 0:
            labels.add("free_node")
        if set(sample.labels) != labels or \
                (sample.labels["lifetime"] == "live") != ("free_node" not in labels):
            fail(path, "has a sample with the labels", sample.labels)
    return profile


def total(profile, function, value):
    return sum(sample.values[value] for sample in profile.samples
               if profile.place(sample.stack[0]).function == function)


def near(what, estimate, truth, tolerance=0.15):
    """Of objects that are sampled with a chance of 0.7, some thousand: far from the bound."""
    if abs(estimate - truth) > tolerance * truth:
        fail(f"{what} is {estimate}, not about {truth}")


def check_planted(profile, live=True):
    near("what is kept", total(profile, "planted_keep", "alloc_objects"), KEPT)
    near("what is dropped", total(profile, "planted_drop", "alloc_space"), DROPPED * SIZE)
    kept = total(profile, "planted_keep", "inuse_space")
    if live:
        near("what is in use", kept, KEPT * SIZE)
    elif kept:
        fail("what was freed is in use:", kept)
    if total(profile, "planted_drop", "inuse_objects"):
        fail("what was freed at once is in use")


def check_mapping(profile):
    """Of the program: its build id, and the stack down to main."""
    noted = subprocess.run(["readelf", "-n", PROGRAM], stdout=subprocess.PIPE, check=True,
                           text=True, env={**os.environ, "LC_ALL": "C"}).stdout
    build_id = re.search(r"Build ID: ([0-9a-f]+)", noted)
    first = profile.mappings[1]
    if not os.path.samefile(first.path, PROGRAM):
        fail("the first mapping is", first)
    if build_id and first.build_id != build_id[1]:
        fail("the build id is", first.build_id, "not", build_id[1])
    for sample in profile.samples:
        names = [profile.place(address).function for address in sample.stack]
        if names[0] == "planted_keep" and "main" not in names:
            fail("main did not call", names)


def check_totals(profile, path):
    said = subprocess.run([os.path.join(ROOT, "tools", "nearheap-profile"), "totals", "--json",
                           path], stdout=subprocess.PIPE, check=True, text=True).stdout
    if json.loads(said) != {"rate": RATE, **profile.totals()}:
        fail("nearheap-profile's totals are", said)


def check_names(profile, path):
    """With names the profile is the same, and readers need nothing else."""
    subprocess.run([os.path.join(ROOT, "tools", "nearheap-profile"), "names", path,
                    path + ".names"], check=True)
    named = read(path + ".names")
    if named.samples != profile.samples or named.mappings != profile.mappings:
        fail("with names the profile is another")
    functions = {}
    for key, value in pprof_format.fields(named.data):
        if key == 5:
            one = dict(pprof_format.fields(value))
            functions[one[1]] = named.strings[one[2]]
    for key, value in pprof_format.fields(named.data):
        if key == 4:
            one = dict(pprof_format.fields(value))
            name = functions[dict(pprof_format.fields(one[4]))[1]]
            if one[3] in named.names and name != named.place(one[3]).function:
                fail(f"{one[3]:#x} is named", name, "not", named.place(one[3]).function)


def check_pprof(path, folder):
    """The standard pprof tells names; go's own, of the same reader, only those of Go."""
    asked = False
    for command, argument, wanted in (["pprof"], "-top", "planted_keep"), \
            (["go", "tool", "pprof"], "-raw", "inuse_space/bytes"):
        if shutil.which(command[0]) is None:
            continue
        asked = True
        said = subprocess.run([*command, argument, "-symbolize=local", path],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env={**os.environ, "HOME": folder, "GOCACHE": folder}).stdout
        if not re.search(rf"\b{wanted}\b", said):
            fail(*command, "said", said)
    if not asked:
        print("there is no pprof and no go here to read the profile, too")


def check_reports_of_forks(folder):
    """Other reports have files of their own in a fork's child, too."""
    for variable in "NEARHEAP_STATS", "NEARHEAP_LEAKS":
        reports = os.path.join(folder, variable)
        os.mkdir(reports)
        run("fork", **{variable: os.path.join(reports, "parent")})
        names = sorted(os.listdir(reports))
        if len(names) != 2 or not re.fullmatch(r"parent\.\d+", names[1]):
            fail("a parent and a child wrote", variable, names)


def start(mode, *arguments, **environment):
    return subprocess.Popen([PROGRAM, mode, *arguments], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True,
                            env={**os.environ, "NEARHEAP_PROFILE_RATE": str(RATE), **environment})


def is_asleep_or_gone(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0] in "SZ"


def make_full_pipe(path):
    """A pipe that whoever writes waits for; opened to read, and how much is in it."""
    os.mkfifo(path)
    pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    filled = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            filled += os.write(pipe, bytes(select.PIPE_BUF))
    return pipe, filled


def read_until_end(pipe, process):
    """What comes through the pipe while the process runs."""
    got = b""
    while True:
        ended = process.poll() is not None
        if select.select([pipe], [], [], 0.1)[0]:
            got += os.read(pipe, 1 << 16)
        elif ended:
            return got


def check_ends(folder):
    """While a profile is written the process ends: files are whole, of others' writes, too."""
    number = str(int(signal.SIGUSR2))
    path, pipe, unread = (os.path.join(folder, name) for name in ("last", "pipe", "unread"))
    reader, filled = make_full_pipe(pipe)
    held, _ = make_full_pipe(unread)
    # Nobody ever reads what this one waits for; it is waited for below.
    waits = start("beside", unread, NEARHEAP_PROFILE=path + ".waits")
    for _ in range(10):
        run("ending", NEARHEAP_PROFILE=path, NEARHEAP_PROFILE_SIGNAL=number)
        check_planted(read(path))
    run("within", pipe, NEARHEAP_PROFILE=path + ".within")
    check_planted(read(path + ".within"))

    with start("beside", pipe, NEARHEAP_PROFILE=path + ".beside") as beside:
        said = beside.stdout.readline()
        while not is_asleep_or_gone(beside.pid):
            time.sleep(0.01)
        other = read_until_end(reader, beside)[filled:]
        said += beside.stdout.read()
    if (beside.returncode, said) != (0, "exiting\n"):
        fail("beside a write it ended with", beside.returncode, "and said", said)
    with open(path + ".other", "wb") as file:
        file.write(other)
    check_planted(read(path + ".other"))
    check_planted(read(path + ".beside"))

    with waits:
        said = waits.stdout.read()
    if waits.returncode != 0 or not re.fullmatch(
            r"exiting\nnearheap: no profile at the end: another thread .*\n", said):
        fail("a write without a reader: it ended with", waits.returncode, "and said", said)
    os.close(reader)
    os.close(held)


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "profile")

        run("exit", NEARHEAP_PROFILE=path)
        profile = read(path)
        if profile.period != RATE:
            fail("the period is", profile.period)
        check_planted(profile)
        check_mapping(profile)
        check_totals(profile, path)
        check_names(profile, path)
        check_pprof(path, folder)

        run("alone", NEARHEAP_PROFILE=path + ".alone")
        profile = read(path + ".alone")
        check_planted(profile)
        check_mapping(profile)

        run("exit", NEARHEAP_PROFILE=path + ".%p")
        if not [name for name in os.listdir(folder) if re.fullmatch(r"profile\.\d+", name)]:
            fail("%p did not become a number:", os.listdir(folder))

        number = str(int(signal.SIGUSR2))
        for mode in "signal", "stack", "storm":
            run(mode, NEARHEAP_PROFILE=path + mode, NEARHEAP_PROFILE_SIGNAL=number)
            profile = read(path + mode)
            near("what is in use", total(profile, "planted_keep", "inuse_space"), KEPT * SIZE)

        forks = os.path.join(folder, "forks")
        os.mkdir(forks)
        run("fork", NEARHEAP_PROFILE=os.path.join(forks, "parent"))
        names = sorted(os.listdir(forks))
        if len(names) != 2 or not re.fullmatch(r"parent\.\d+", names[1]):
            fail("a parent and a child wrote", names)
        check_planted(read(os.path.join(forks, names[0])))
        check_planted(read(os.path.join(forks, names[1])), live=False)
        check_reports_of_forks(folder)
        # A device has no child's beside it.
        devices = os.path.join(folder, "devices")
        os.mkdir(devices)
        null = os.path.join(devices, "null")
        os.symlink("/dev/null", null)
        run("fork", NEARHEAP_PROFILE=null, NEARHEAP_STATS=null)
        if os.listdir(devices) != ["null"]:
            fail("beside a device are", os.listdir(devices))

        without = subprocess.run([PROGRAM, "signal"], stderr=subprocess.PIPE, text=True, check=False,
                                 env={**os.environ, "NEARHEAP_PROFILE_SIGNAL": number})
        if without.returncode != 0 or "names no file" not in without.stderr:
            fail("a signal without a path:", without.returncode, without.stderr)

        check_ends(folder)
        run("calls", folder)
        profile = read(os.path.join(folder, "calls"))
        near("what was allocated", total(profile, "planted_drop", "alloc_objects"), DROPPED)
        if total(profile, "planted_keep", "alloc_objects"):
            fail("objects from before and after were sampled")
    print("profiles are as planted")


main()
