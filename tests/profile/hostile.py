#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Profiles that somebody else made: nearheap-profile puts nothing on the terminal that it would
obey, and takes no more time and memory than what is in them accounts for."""

import errno
import gzip
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.path.join(ROOT, "tools", "nearheap-profile")
sys.path.insert(0, os.path.join(ROOT, "tools"))
from pprof_format import FILES_MOST, UNPACKED_MOST, field

MOST_MEMORY = 1 << 30
ESCAPE = "\33]0;title\7\33[2J\x7f\x9b2J"
SHOWN = "?]0;title??[2J??2J"
TYPES = ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space", "samples")
BEGIN, OFFSET = 0x400000, 0x123


def fail(what):
    sys.exit(f"hostile.py: {what}")


def run(*words, status=0, **environment):
    """What is printed, and said of errors."""
    done = subprocess.run([TOOL, *words], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment})
    if done.returncode != status or "Traceback" in done.stderr:
        fail(f"{words} ended with {done.returncode}: {done.stderr}")
    for text in done.stdout, done.stderr:
        if not text.replace("\n", "").isprintable():
            fail(f"{words} printed {text!r}")
    return done.stdout, done.stderr


def profile(*mapped, node="1", value=1, places=None, build_id="", time=0):
    """Of a sample in each of these files, allocated on node 0 and freed on another.  They are
    mapped at so many times BEGIN."""
    strings = ["", *TYPES, "bytes", "alloc_node", "0", "free_node", node, "lifetime", "<1ms"]
    at = {text: i for i, text in enumerate(strings)}
    strings += [build_id, *mapped]
    places = places or [2 * i + 1 for i, _ in enumerate(mapped)]
    labels = (("alloc_node", "0"), ("free_node", node), ("lifetime", "<1ms"))
    out = b"".join(field(1, field(1, at[one]) + field(2, at["bytes"])) for one in TYPES)
    for i, _ in enumerate(mapped):
        begin = places[i] * BEGIN
        out += field(2, field(1, i + 1) + b"".join(field(2, value) for _ in TYPES) + b"".join(
            field(3, field(1, at[key]) + field(2, at[text])) for key, text in labels))
        out += field(3, field(1, i + 1) + field(2, begin) + field(3, begin + BEGIN) +
                     field(5, len(strings) - len(mapped) + i) +
                     field(6, len(strings) - len(mapped) - 1))
        out += field(4, field(1, i + 1) + field(2, i + 1) + field(3, begin + OFFSET))
    out += b"".join(field(6, one) for one in strings)
    return out + field(9, time) + field(11, field(1, at["bytes"])) + field(12, 4096) + field(14, 1)


def write(folder, data, name="profile"):
    path = os.path.join(folder, name)
    with gzip.open(path, "wb") as file:
        file.write(data)
    return path


# ---- What it prints ----

def escapes_in_paths(folder):
    path = write(folder, profile(f"/none/{ESCAPE}", node=ESCAPE))
    for verb in "held", "crossnode":
        out, _ = run(verb, path)
        if f"{SHOWN}+0x123" not in out:
            fail(f"{verb} does not tell the mapping: {out!r}")
        rows = json.loads(run(verb, "--json", path)[0])["holders" if verb == "held" else "crossings"]
        if rows[0]["site"][0]["function"] != f"{ESCAPE}+0x123":
            fail(f"JSON tells another name: {rows}")
    if f"0>{SHOWN}" not in out:
        fail(f"crossnode does not tell the node: {out!r}")
    _, err = run("held", os.path.join(folder, ESCAPE), status=1)
    if SHOWN not in err:
        fail(f"of a file that is not there is said: {err!r}")


def with_addr2line(folder, script):
    """The environment in which that is addr2line."""
    with open(os.path.join(folder, "addr2line"), "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n" + script)
    os.chmod(file.name, 0o755)
    return {"PATH": folder + os.pathsep + os.environ["PATH"]}


def escapes_in_names(folder):
    """addr2line tells what the mapped file holds, in whatever encoding."""
    there = with_addr2line(folder, r"""
while read -r address; do printf 'name\033[2J\377\n/source\033[2J:\302\262 (\n'; done
""")
    path = write(folder, profile(os.path.realpath(sys.executable)))
    out, _ = run("held", path, **there)
    if "name?[2J" not in out or "/source?[2J" not in out:
        fail(f"addr2line's name is not told: {out!r}")
    named = os.path.join(folder, "named")
    run("names", path, named, **there)
    run("totals", named)


# ---- What it takes ----

def long_numbers(folder):
    """A number too long, in the file's own place and in a list; the longest that are numbers."""
    for value in (1 << 64) - 1, 1 << 63:
        out, _ = run("totals", "--json", write(folder, profile("/none", value=value)))
        if json.loads(out)["inuse_space"] != value:
            fail(f"{value} is told as {out}")
    for value in 1 << 64, 1 << 70, 1 << 2000:
        _, err = run("held", write(folder, profile("/none", value=value)), status=1)
        if "64 bits" not in err:
            fail(f"of a number that is none is said: {err}")
    _, err = run("held", write(folder, b"\x80" * (1 << 20) + b"\1"), status=1)
    if "64 bits" not in err:
        fail(f"of a long number is said: {err}")
    # One is cut off; one has its zeros written out, and is none either.
    for data in b"\x80", b"\x80" * 11 + b"\0":
        run("held", write(folder, data), status=1)


def bomb(folder):
    """Much from little: memory is limited, so that this would fail where it is not bounded."""
    path = os.path.join(folder, "profile")
    with open(path, "wb") as file:  # a file of many members is one
        file.write(gzip.compress(bytes(UNPACKED_MOST), 1) * (2 * MOST_MEMORY // UNPACKED_MOST))
    _, err = run("held", path, status=1)
    if f"more than {UNPACKED_MOST >> 20} MiB" not in err:
        fail(f"of a bomb is said: {err}")


def many_mappings(folder):
    """Of one file, for which it is asked once; and of more files than it asks about."""
    asked = os.path.join(folder, "asked")
    there = with_addr2line(folder, f"cat >/dev/null; echo >>'{asked}'\n")
    program = os.path.realpath(sys.executable)
    many = FILES_MOST + 10
    for names in [program] * many, ["/" * i + program for i in range(many)]:
        open(asked, "w", encoding="ascii").close()
        run("names", write(folder, profile(*names)), os.path.join(folder, "named"), **there)
        expected = min(len(set(names)), FILES_MOST)
        if os.path.getsize(asked) != expected:
            fail(f"addr2line ran {os.path.getsize(asked)} times, not {expected}")


def no_regular_files(folder):
    """Nobody writes to the FIFO: to open it would wait for ever."""
    fifo = os.path.join(folder, "fifo")
    os.mkfifo(fifo)
    for path in fifo, folder, "/dev/zero", os.path.join(folder, "none"), "not\0one":
        out, _ = run("held", write(folder, profile(path)))
        if "+0x123" not in out:
            fail(f"what is mapped from {path} is told as {out}")


# ---- How it ends ----

def errors_name_their_file(folder):
    path, none = write(folder, profile("/none")), os.path.join(folder, "none")
    for words, said in (
            (("held", none), f"{none}: {os.strerror(errno.ENOENT)}"),
            (("held", os.devnull), f"{os.devnull} is no profile: it is empty"),
            (("held", __file__), f"{__file__} is no profile: Not a gzipped file (b'#!')"),
            (("names", path, "/dev/full"), f"/dev/full: {os.strerror(errno.ENOSPC)}")):
        _, err = run(*words, status=1)
        if err != f"nearheap-profile: {said}\n":
            fail(f"of {words} is said: {err}")
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([TOOL, "totals", path], stdout=full, stderr=subprocess.PIPE, text=True,
                              check=False)
    if (done.returncode, done.stderr) != (1, "nearheap-profile: standard output: "
                                          f"{os.strerror(errno.ENOSPC)}\n"):
        fail(f"of a full output is said: {done}")
    for words in ("held", "--depth", "0"), ("held", "--lines", "-1"), ("crossnode", "--depth", "x"):
        run(*words, path, status=2)


def only_one_process_is_compared(folder):
    """By what is mapped where, and with the earlier profile first."""
    files = "/program", "/library", "/plugin"
    later = {"places": (1, 3, 5), "build_id": "ab", "time": 2}
    good, wrong = "", "is of another process than"
    for what, mapped, changed, said in (
            ("the same", files, {}, good),
            ("the library is elsewhere, but not all", files, {"places": (1, 7, 5)}, good),
            ("a library less", files[:2], {}, good),
            ("without ids, replaced", ("/program (deleted)", *files[1:]), {"build_id": ""}, good),
            ("without a time", files, {"time": 0}, good),
            ("all is elsewhere", files, {"places": (2, 4, 6)}, wrong),
            ("all but the program is elsewhere", files, {"places": (1, 4, 6)}, wrong),
            ("another program", ("/other", *files[1:]), {"build_id": ""}, wrong),
            ("another build", files, {"build_id": "cd"}, wrong),
            ("later", files, {"time": 3}, "is the later one")):
        since = write(folder, profile(*mapped, **{**later, "time": 1, **changed}), "since")
        _, err = run("held", "--since", since, write(folder, profile(*files, **later)),
                     status=0 if said is good else 1)
        if said not in err:
            fail(f"{what}: of profiles to compare is said: {err}")


def an_interrupt_ends_it(folder):
    """Without a word, while it waits for what it reads."""
    fifo = os.path.join(folder, "waits")
    os.mkfifo(fifo)
    with subprocess.Popen([TOOL, "totals", fifo], stderr=subprocess.PIPE, text=True) as process:
        with open(fifo, "w", encoding="ascii"):  # it has opened it, too
            process.send_signal(signal.SIGINT)
            if process.wait() != -signal.SIGINT or (said := process.stderr.read()) != "":
                fail(f"an interrupt ends it by {process.returncode}: {said}")


def main():
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    with tempfile.TemporaryDirectory() as folder:
        escapes_in_paths(folder)
        escapes_in_names(folder)
        long_numbers(folder)
        bomb(folder)
        many_mappings(folder)
        no_regular_files(folder)
        errors_name_their_file(folder)
        only_one_process_is_compared(folder)
        an_interrupt_ends_it(folder)
    print("hostile profiles do no harm")


main()
