# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the comparing scripts share: which allocators there are, how a process
gets one, rounds in which every allocator has its turn, and medians.

A comparison here is made of paired rounds: in each round every allocator does
the same work within seconds of the others, in an order that rotates, and only
results of one round are divided by each other.  What slows the machine for a
while then slows both sides of a ratio.  The median of the ratios is the result.
"""

import glob
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BASE = "nearheap"


class Failed(Exception):
    """What went wrong and what to do about it, in one line for the user."""


# ---- Allocators -------------------------------------------------------------

# Where an allocator other than ours is looked for: file names, best first.
KNOWN = {
    "glibc": ["libc.so.6"],
    "jemalloc": ["libjemalloc.so.2"],
    "mimalloc": ["libmimalloc.so.2.*", "libmimalloc.so.2", "libmimalloc.so.3", "libmimalloc.so"],
    "tcmalloc": ["libtcmalloc_minimal.so.4"],
    "tbbmalloc": ["libtbbmalloc_proxy.so.2"],
}
# Debian's packages of those that not every system has.
PACKAGES = {
    "jemalloc": "libjemalloc2",
    "mimalloc": "libmimalloc2.0",
    "tcmalloc": "libtcmalloc-minimal4",
    "tbbmalloc": "libtbbmalloc2",
}
# The ones a comparison uses when it is not told: the others only if asked for.
USUAL = ["glibc", "jemalloc", "mimalloc"]


def library_folders():
    """Folders of the dynamic loader: those of the libraries it knows."""
    folders = []
    for ldconfig in ("ldconfig", "/sbin/ldconfig"):
        try:
            listed = subprocess.run([ldconfig, "-p"], capture_output=True, text=True).stdout
        except OSError:
            continue
        for line in listed.splitlines():
            path = line.rpartition(" => ")[2]
            folder = os.path.dirname(path)
            foreign = "32" in folder or "i386" in folder
            if path.startswith("/") and folder not in folders and not foreign:
                folders.append(folder)
        break
    return folders + ["/usr/local/lib", "/usr/lib"]


def find_library(name):
    """The path of a known allocator's library, or None."""
    for pattern in KNOWN[name]:
        for folder in library_folders():
            found = sorted(glob.glob(os.path.join(folder, pattern)))
            if found:
                return found[-1]
    return None


def allocators(wanted, built, usual=None):
    """A dict from name to path of the library to preload, ours first.

    `wanted` is the text of --allocators: names, or name=path, with commas
    between; None means what is built here and those of `usual` that are installed.
    `built` is the path of our library, or a dict of all that are built here.  The C
    library is preloaded like the others: it then also takes the place of an
    allocator that a program is linked with.
    """
    if isinstance(built, str):
        built = {BASE: built}
    known = list(built) + list(KNOWN)
    chosen = {}
    for word in (wanted or ",".join(list(built) + (usual or USUAL))).split(","):
        name, _, path = word.strip().partition("=")
        if name in built and not path:
            path = built[name]
            if not os.path.exists(path):
                raise Failed(f"no library at {path}: build it (cmake -S . -B build && "
                             f"cmake --build build), or give --build or --lib")
        elif not path:
            if name not in KNOWN:
                raise Failed(f"--allocators: no allocator is known as '{name}': "
                             f"use one of {', '.join(known)}, or name=path")
            path = find_library(name)
            package = f" (Debian: {PACKAGES[name]})" if name in PACKAGES else ""
            if path is None and wanted is None:
                progress(f"{name} is not installed and left out{package}")
                continue
            if path is None:
                raise Failed(f"--allocators: {name} is not installed{package}: "
                             f"looked for {' '.join(KNOWN[name])}")
        if not os.path.exists(path):
            raise Failed(f"--allocators: {name}: there is no file {path}")
        chosen[name] = os.path.abspath(path)
    return {name: chosen[name] for name in sorted(chosen, key=lambda n: n != BASE)}


def install(names):
    """Installs the Debian packages of the known allocators that are missing, as root
    or with sudo; those that this release does not have stay missing."""
    packages = ["?" + PACKAGES[n] for n in names if n in PACKAGES and find_library(n) is None]
    if not packages:
        return
    # The script's own name, which lib.sh's lines begin with, comes first.
    ran = subprocess.run(["bash", "-c", 'set -euo pipefail; source "$1"; shift; need_packages "$@"',
                          sys.argv[0], os.path.join(ROOT, "tools", "lib.sh")] + packages,
                         stdout=sys.stderr)
    if ran.returncode != 0:
        raise Failed("packages could not be installed; see above")


def environment(path, **more):
    """The environment of a process that is to use the library at `path`."""
    if re.search("[ :]", path):
        raise Failed(f"{path}: LD_PRELOAD cannot name a file with a space or a colon in its path: "
                     f"give one without")
    return dict(os.environ, LD_PRELOAD=path, **more)


# A line of the dynamic loader's: which file's use of a symbol goes to which other file.
BINDING = re.compile(r"binding file (.+) \[\d+\] to (.+) \[\d+\]: normal symbol `(\w+)'")


def check_binding(name, path, command):
    """Fails unless the program's calls of malloc and free go to `path`.

    Asks the dynamic loader: that a library is mapped does not say that it is
    the one that is called.
    """
    with tempfile.TemporaryDirectory(prefix="nearheap-") as folder:
        prefix = os.path.join(folder, "bindings")
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       env=environment(path, LD_BIND_NOW="1", LD_DEBUG="bindings",
                                       LD_DEBUG_OUTPUT=prefix))
        text = "".join(open(f, errors="replace").read() for f in glob.glob(prefix + ".*"))
    program = os.path.realpath(shutil.which(command[0]) or command[0])
    for symbol in ("malloc", "free"):
        targets = [target for user, target, used in BINDING.findall(text) if used == symbol and
                   os.path.realpath(shutil.which(user) or user) == program]
        if not targets:
            raise Failed(f"{command[0]}: the dynamic loader reports no use of {symbol}: "
                         f"is the program statically linked?")
        if os.path.realpath(targets[0]) != os.path.realpath(path):
            raise Failed(f"{command[0]} preloaded with {name} calls {symbol} of {targets[0]} "
                         f"and not of {path}")


def memory(pid):
    """Bytes of the Vm and Rss lines of a process's status, by their names."""
    with open(f"/proc/{pid}/status") as status:
        lines = [line.split() for line in status]
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines
            if len(words) == 3 and words[2] == "kB"}


# ---- Rounds and medians -------------------------------------------------------

def rotated(names, turn):
    """The names in the order of round number `turn`: forth in one and back in the
    next, and every other round another one leads, so that nobody always profits
    from his place or from who goes before him."""
    names = list(names)
    first = turn // 2 % len(names)
    order = names[first:] + names[:first]
    return order if turn % 2 == 0 else order[::-1]


FEW_ROUNDS = 8


def quartile(sorted_values, part):
    """The value `part` (0 to 1) of the way through, between neighbours if need be."""
    at = part * (len(sorted_values) - 1)
    low = int(at)
    high = min(low + 1, len(sorted_values) - 1)
    return sorted_values[low] + (sorted_values[high] - sorted_values[low]) * (at - low)


def compare(ours, theirs):
    """Two lists of results, pair by pair of one round, as one comparison.

    The spread is the ratios' middle half; of few, which may agree by chance, their
    whole range.
    """
    ratios = sorted(a / b for a, b in zip(ours, theirs))
    few = len(ratios) < FEW_ROUNDS
    return {
        "ratio": statistics.median(ratios),
        "spread": "range" if few else "middle half",
        "low": ratios[0] if few else quartile(ratios, 0.25),
        "high": ratios[-1] if few else quartile(ratios, 0.75),
        "ratio_of_medians": statistics.median(ours) / statistics.median(theirs),
    }


def comparisons(results):
    """From {what: {allocator: [value a round]}}: medians, and ours over each other."""
    made = {}
    for what, values in results.items():
        made[what] = {
            "medians": {name: statistics.median(v) for name, v in values.items()},
            "ratios": {name: compare(values[BASE], v) for name, v in values.items()
                       if name != BASE and BASE in values},
        }
    return made


# ---- Printing -------------------------------------------------------------------

STARTED = time.monotonic()


def progress(text):
    """A line on stderr with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED:5.0f} s] {text}", file=sys.stderr, flush=True)


def warn_if_busy():
    """Results on a busy machine scatter; say so before they are believed."""
    load, cpus = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load > 0.5 * cpus:
        progress(f"load is {load:.1f} on {cpus} CPUs: something else runs, ratios will scatter")


def human(value):
    for bound, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m")):
        if value >= bound:
            return f"{value / bound:.2f} {unit}"
    return f"{value * 1e6:.2f} u"


def print_table(title, made, unit, better):
    """One row a measurement: every allocator's median, then ours over each other's.

    `better` says which ratios are good: "higher" or "lower".
    """
    names = list(next(iter(made.values()))["medians"])
    others = [n for n in names if BASE in names and n != BASE]
    width = max(len(w) for w in list(made) + [title]) + 1
    print()
    print(f"{title:<{width}}" + "".join(f"{n:>12}" for n in names) +
          "".join(f"{'/ ' + n:>20}" for n in others))
    for what, row in made.items():
        line = f"{what:<{width}}"
        for name in names:
            line += f"{human(row['medians'][name]) + unit:>12}"
        for name in others:
            r = row["ratios"][name]
            line += f"{'%.2f (%.2f-%.2f)' % (r['ratio'], r['low'], r['high']):>20}"
        print(line)
    if others and len(made) > 1 and better == "higher":
        line = f"{'geometric mean':<{width}}" + " " * 12 * len(names)
        for name in others:
            mean = statistics.geometric_mean(row["ratios"][name]["ratio"] for row in made.values())
            line += f"{mean:>20.2f}"
        print(line)
    if others:
        print(f"Ratios: {BASE} over the other, median of the paired rounds (and their "
              f"{r['spread']}); {better} is better.")


def print_json(made):
    json.dump(made, sys.stdout, indent=2)
    print()


def run(main):
    """Calls main; a failure becomes one line and status 1."""
    try:
        return main()
    except Failed as failure:
        print(f"{os.path.basename(sys.argv[0])}: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{os.path.basename(sys.argv[0])}: interrupted", file=sys.stderr)
        return 130
