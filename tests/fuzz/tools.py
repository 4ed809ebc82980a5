#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Damages profiles, traces and dumps in many ways and has the tools read them: each says what
is wrong and ends, or shows what it found; never a traceback, nor what a terminal would obey,
nor for long.

    tools.py CORPUS [--seconds N | --runs N] [--seed N]

The same seed does the same; each day has another, which is printed.  What fails is written to
the working folder, named fuzz_found.*."""

import argparse
import contextlib
import gzip
import importlib.machinery
import importlib.util
import io
import os
import random
import re
import resource
import shutil
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True  # leaves no cache folder in the source tree
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOLS = os.path.join(ROOT, "tools")
sys.path.insert(0, TOOLS)
import trace_format

MOST_MEMORY = 2 << 30  # what a few damaged bytes may make a tool want, and more
MOST_SECONDS = 10      # of a processor, where files take milliseconds
INPUT, OUTPUT = "input", "output"
TARGETS = {  # by folder of the corpus: what reads it
    "profile": (("nearheap-profile", "crossnode", INPUT),
                ("nearheap-profile", "held", "--json", INPUT),
                ("nearheap-profile", "names", INPUT, os.devnull),
                ("nearheap-profile", "totals", "--json", INPUT)),
    "trace": (("trace", "show", INPUT), ("trace", "show", "--json", INPUT)),
    "dump": (("nearheap-map", "--classes", "0", INPUT), ("nearheap-map", "--json", INPUT),
             ("nearheap-map", "-o", OUTPUT, INPUT)),
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", help="with folders " + ", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, help="for so long, instead of --runs")
    parser.add_argument("--runs", type=int, default=500, help="default: 500")
    parser.add_argument("--seed", type=int, default=int(time.strftime("%Y%m%d", time.gmtime())),
                        help="default: today's date as a number, by UTC")
    return parser.parse_args()


class Found(Exception):
    """What is wrong with what a tool did."""


def run_tool(name, *words):
    """What main of a tool does, in this process.  SystemExit is an orderly end, with words that
    Python would print."""
    path = os.path.join(TOOLS, name)
    loader = importlib.machinery.SourceFileLoader("tool", path)
    sys.argv = [path, *words]
    out = io.StringIO()
    begun = time.process_time()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            loader.exec_module(importlib.util.module_from_spec(
                importlib.util.spec_from_loader("tool", loader)))
        except SystemExit as end:
            print(end)
    taken = time.process_time() - begun
    if taken > MOST_SECONDS:
        raise Found(f"it took {taken:.1f} s of a processor")
    text = out.getvalue()
    if not text.replace("\n", "").replace("\t", "").isprintable():
        raise Found(f"it printed {text!r}")


# ---- Damage -----------------------------------------------------------------------

def damage(chance, data):
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        at = chance.randrange(len(data) + 1)
        how = chance.randrange(7)
        if how == 0:
            del data[at:at + chance.randrange(1, 9)]
        elif how == 1:
            data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 9)))
        elif how == 2:
            data[at:at + 1] = bytes([chance.choice((0, 1, 0x7f, 0x80, 0xff))])
        elif how == 3 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif how == 4:
            piece = data[at:at + chance.randrange(1, 40)]
            there = chance.randrange(len(data) + 1)
            data[there:there] = piece
        elif how == 5 and chance.random() < 0.1:
            del data[at:]
        elif how == 6 and (number := re.compile(rb"-?[0-9a-f]+").search(data, at)):
            data[number.start():number.end()] = chance.choice(
                (b"0", b"-1", b"1", b"ffff", b"65536", b"18446744073709551616", b"9" * 30))
    return bytes(data)


def unpacked(kind, data):
    if kind == "dump":
        return data
    if kind == "profile":
        return gzip.decompress(data)
    length, at = trace_format.get_number(data, len(trace_format.MAGIC))
    return trace_format.decompress(data, at, length)


def packed(kind, data):
    if kind == "dump":
        return data
    if kind == "profile":
        return gzip.compress(data, 1)
    head = bytearray(trace_format.MAGIC)
    trace_format.put_number(head, len(data))
    return bytes(head) + trace_format.compress(data)


def damaged(chance, kind, data):
    """Most within the compressed contents, which are seldom read otherwise."""
    if chance.random() < 0.2:
        return damage(chance, data)
    return packed(kind, damage(chance, unpacked(kind, data)))


# ---- The work ---------------------------------------------------------------------

def seeds(corpus):
    for kind in TARGETS:
        folder = os.path.join(corpus, kind)
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), "rb") as file:
                yield kind, file.read()


def main():
    options = arguments()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    chance = random.Random(options.seed)
    print(f"seed {options.seed}", flush=True)
    sound = list(seeds(options.corpus))
    end = time.monotonic() + options.seconds if options.seconds else None
    runs = failures = 0
    with tempfile.TemporaryDirectory() as folder:
        path, output = os.path.join(folder, INPUT), os.path.join(folder, OUTPUT)
        while time.monotonic() < end if end else runs < options.runs:
            kind, data = chance.choice(sound)
            with open(path, "wb") as file:
                file.write(data if runs < len(sound) else damaged(chance, kind, data))
            for tool, *words in TARGETS[kind]:
                try:
                    run_tool(tool, *({INPUT: path, OUTPUT: output}.get(word, word)
                                     for word in words))
                except Exception:
                    failures += 1
                    kept = f"fuzz_found.{kind}.{options.seed}.{runs}"
                    shutil.copy(path, kept)
                    print(f"{tool} {' '.join(words)} {kept}:\n{traceback.format_exc()}")
            runs += 1
    print(f"{runs} files, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
