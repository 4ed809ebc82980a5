# SPDX-License-Identifier: LGPL-2.1-or-later
"""The runs of bench/compare: which there are, each as a process of its own, and a
journal of those that are finished.

The runs of all allocators of one workload, with one number of threads, in one round,
are a group: measured right after each other, so that they may be divided by each
other.  A group that was interrupted is measured again as a whole.
"""

import collections
import fnmatch
import hashlib
import json
import os
import re
import signal
import subprocess
import time

import paired
from paired import Failed

TIMED, SETTLED = "timed", "settled"
# What a finished run tells; those after "reason" are missing when it failed.
COLUMNS = ["kind", "round", "workload", "threads", "allocator", "status", "reason",
           "seconds", "operations", "peak_kib", "settled_kib", "faults", "settle", "wall"]
PROGRESS_SECONDS = 2

Group = collections.namedtuple("Group", "kind round threads workload")


def group_of(run):
    return Group(run["kind"], run["round"], run["threads"], run["workload"])


def listed(program):
    """The workloads' names, in their order."""
    if not os.access(program, os.X_OK):
        raise Failed(f"no program {program}: build it (cmake -S . -B build && "
                     f"cmake --build build), or give --build")
    lines = subprocess.run([program, "--list"], capture_output=True, text=True).stdout
    return [line.split()[0] for line in lines.splitlines()]


def matches(name, pattern):
    if fnmatch.fnmatchcase(name, pattern):
        return True
    try:
        return re.fullmatch(pattern, name) is not None
    except re.error:  # a glob need not be a regular expression
        return False


def choose(names, wanted):
    """Those of `names` that one of the patterns in `wanted` matches, all if None."""
    if wanted is None:
        return names
    chosen = set()
    for pattern in wanted.split(","):
        found = [n for n in names if matches(n, pattern)]
        if not found:
            raise Failed(f"--workloads: none matches '{pattern}': there are {', '.join(names)}")
        chosen.update(found)
    return [n for n in names if n in chosen]


def groups(workloads, threads, rounds, settle):
    """All groups in the order in which they are measured.  Settled memory is read
    once, with the first number of threads."""
    planned = [Group(TIMED, turn, count, workload) for turn in range(rounds)
               for count in threads for workload in workloads]
    if settle > 0:
        planned += [Group(SETTLED, 0, threads[0], workload) for workload in workloads]
    return planned


def turns(planned, chosen):
    """Each group with the order of its allocators.  The turn is counted within a round, so
    that a group's is the next one in the next round, of however many a round consists."""
    places = collections.Counter()
    for group in planned:
        place = places[group.kind, group.round]
        places[group.kind, group.round] += 1
        yield group, paired.rotated(chosen, group.round + place)


# ---- One run ------------------------------------------------------------------

def ended_badly(ran):
    """Why a finished process failed, or None."""
    said = (ran.stderr.strip() or "no message").splitlines()[-1]
    if ran.returncode < 0:
        try:
            return f"{signal.Signals(-ran.returncode).name}: {said}"
        except ValueError:
            return f"signal {-ran.returncode}: {said}"
    return f"status {ran.returncode}: {said}" if ran.returncode else None


def measure(program, group, allocator, path, scale, settle, timeout):
    """Runs the workload once; what came of it, with COLUMNS' names."""
    run = {"kind": group.kind, "round": group.round, "workload": group.workload,
           "threads": group.threads, "allocator": allocator, "status": "ok", "reason": ""}
    command = [program, group.workload, "--threads", str(group.threads), "--scale", str(scale)]
    if group.kind == SETTLED:
        command += ["--settle", str(settle)]
        timeout += settle
        run["settle"] = settle
    begun = time.monotonic()
    try:
        ran = subprocess.run(command, env=paired.environment(path), capture_output=True,
                             text=True, errors="replace", timeout=timeout)
        reason = ended_badly(ran)
        if reason is None:
            told = json.loads(ran.stdout)
            run.update((name, told[name]) for name in
                       ("seconds", "operations", "peak_kib", "settled_kib", "faults"))
    except subprocess.TimeoutExpired:
        reason = f"not finished after {timeout:.0f} s"
    except (ValueError, KeyError):
        reason = "its output is not understood"
    run["wall"] = round(time.monotonic() - begun, 3)
    if reason is not None:
        run.update(status="failed", reason=reason)
    return run


# ---- The journal ----------------------------------------------------------------

# Beginnings of the names of variables that allocators are set by; what a program is
# measured with is theirs, too.
SETTINGS = ("NEARHEAP_", "GLIBC_TUNABLES", "MALLOC_", "MIMALLOC_", "TCMALLOC_", "TBB_MALLOC_")


def settings():
    """The allocators' variables in the environment, which reach what is measured."""
    return {name: value for name, value in sorted(os.environ.items())
            if name.startswith(SETTINGS)}


def digest(path):
    """Tells one build of a library or program from another."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]


class Journal:
    """Finished runs; with a path also as lines of JSON in that file, the first of
    which says what was compared: what was measured otherwise may not be mixed in."""

    def __init__(self, path, program, chosen, scale, settle):
        self.path = path
        self.allocators = list(chosen)
        self.made_of = {"scale": scale, "workload": digest(program),
                        "allocators": {name: digest(lib) for name, lib in chosen.items()},
                        "environment": settings()}
        self.runs = []
        if path is not None and os.path.exists(path):
            self.load(settle)
        self.write_all()

    def load(self, settle):
        lines = []
        with open(self.path) as file:
            for line in file:
                try:
                    lines.append(json.loads(line))
                except ValueError:
                    break  # written half, when the writer was killed
        if not lines:
            return
        self.check(lines[0], settle, lines[1:])
        failed = {(r["threads"], r["workload"], r["allocator"])
                  for r in lines[1:] if r["status"] != "ok"}
        there = collections.defaultdict(set)
        for run in lines[1:]:
            there[group_of(run)].add(run["allocator"])
        whole = {group for group, names in there.items() if all(
            name in names or (group.threads, group.workload, name) in failed
            for name in self.allocators)}
        self.runs = [run for run in lines[1:] if group_of(run) in whole]

    def check(self, made_of, settle, runs):
        """Fails unless the file's runs were made as this process would make them."""
        for what, value in self.made_of.items():
            if not isinstance(made_of, dict) or what not in made_of:
                raise Failed(f"--resume: {self.path} is not a file that this compare wrote")
            if made_of[what] != value:
                raise Failed(f"--resume: {self.path} was measured with another {what}: "
                             f"give another file, or the same --allocators, --add and --scale, "
                             f"variables of allocators ({', '.join(SETTINGS)}), and libraries "
                             f"and program that were not built since")
        if settle > 0 and any(r["kind"] == SETTLED and r["settle"] != settle for r in runs):
            raise Failed(f"--resume: {self.path} was measured with another --settle")

    def write_all(self):
        if self.path is None:
            return
        new = self.path + ".new"
        with open(new, "w") as file:
            for line in [self.made_of] + self.runs:
                file.write(json.dumps(line) + "\n")
        os.replace(new, self.path)

    def add(self, run):
        self.runs.append(run)
        if self.path is not None:
            with open(self.path, "a") as file:
                file.write(json.dumps(run) + "\n")


# ---- All of them ------------------------------------------------------------------

class TimeLeft:
    """Guesses how long the rest takes, from what the same runs took before."""

    def __init__(self, runs):
        self.taken = {}
        for run in runs:
            self.note(run)

    @staticmethod
    def key(group, name):
        return group.kind, group.threads, group.workload, name

    def note(self, run):
        self.taken[self.key(group_of(run), run["allocator"])] = run["wall"]

    def of(self, left, settle):
        """A text; `left` is a list of groups and of the allocators to be run in each."""
        timed = [wall for key, wall in self.taken.items() if key[0] == TIMED]
        usual = sum(timed) / len(timed) if timed else 0
        guess = {TIMED: usual, SETTLED: usual + settle}
        seconds = sum(self.taken.get(self.key(group, name), guess[group.kind])
                      for group, names in left for name in names)
        if not timed:
            return "unknown time"
        return f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"


def run_all(planned, chosen, journal, program, scale, settle, timeout):
    """Does the runs of the planned groups that the journal does not have; returns all
    that it then has of them.  An allocator under which a workload failed does not get
    that workload again."""
    done = {group_of(run) for run in journal.runs}
    failed = {(r["threads"], r["workload"], r["allocator"])
              for r in journal.runs if r["status"] != "ok"}
    left = [(group, names) for group, names in turns(planned, chosen) if group not in done]
    if done:
        paired.progress(f"{len(journal.runs)} runs were finished before")
    time_left, spoken = TimeLeft(journal.runs), 0
    for at, (group, names) in enumerate(left):
        for turn, name in enumerate(names):
            if (group.threads, group.workload, name) in failed:
                continue
            if time.monotonic() - spoken > PROGRESS_SECONDS:
                spoken = time.monotonic()
                what = f"round {group.round + 1}" if group.kind == TIMED else "settled memory"
                rest = time_left.of([(group, names[turn:])] + left[at + 1:], settle)
                paired.progress(f"{what}: {group.workload}, threads: {group.threads}, {name}; "
                                f"group {len(planned) - len(left) + at + 1} of {len(planned)}, "
                                f"{rest} left")
            run = measure(program, group, name, chosen[name], scale, settle, timeout)
            journal.add(run)
            time_left.note(run)
            if run["status"] != "ok":
                failed.add((group.threads, group.workload, name))
                paired.progress(f"{group.workload}, threads: {group.threads}, FAILED under "
                                f"{name}: {run['reason']}")
    wanted = set(planned)
    return [run for run in journal.runs if group_of(run) in wanted]
