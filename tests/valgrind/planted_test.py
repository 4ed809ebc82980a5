#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What memcheck finds in programs on nearheap: each mistake of planted.c, by its kind, the
object's size, and the functions that made it and took the object; and nothing in a program
without mistakes.

    planted_test.py replaces|watches PROGRAM [LIBRARY]

Objects are memcheck's own (as a user starts it), or nearheap's, which memcheck is told of.
With LIBRARY, that is preloaded, and PROGRAM has the C library's functions alone."""

import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

PAGE = 8192
# The ways of planted.c: who takes an object, its bytes, whether these are zero.
LIBC_WAYS = [
    ("take_malloc", 1001, False), ("take_calloc", 1002, True), ("take_realloc", 1003, False),
    ("take_reallocarray", 1004, False), ("take_aligned", 1005, False),
    ("take_large", 200006, False),
]
NH_WAYS = [
    ("take_nh_malloc", 1007, False), ("take_on_node", 1008, False),
    ("take_calloc_on_node", 1009, True), ("take_interleaved", 200010, False),
    ("take_pages", 2 * PAGE, False),
]
LINK = 120


def fail(*words):
    sys.exit("planted_test.py: " + " ".join(map(str, words)))


def names(stack):
    return [frame.findtext("fn") for frame in stack.iter("frame")] if stack is not None else []


def run(command, mode, library):
    """The errors that memcheck reports, as (kind, bytes lost, words of the address, the
    functions of each stack)."""
    environment = {k: v for k, v in os.environ.items()
                   if not k.startswith(("NEARHEAP_", "VALGRIND_", "LD_PRELOAD"))}
    if library:
        environment["LD_PRELOAD"] = library
    valgrind = ["valgrind", "-q", "--leak-check=full", "--show-leak-kinds=all",
                "--track-origins=yes", "--num-callers=12", "--xml=yes"]
    if mode == "watches":
        valgrind.append("--soname-synonyms=somalloc=nouserintercepts")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "found.xml")
        done = subprocess.run([*valgrind, "--xml-file=" + path, *command], env=environment,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0 or done.stdout:
            fail(*command, "ended with", done.returncode, "and said", done.stdout)
        tree = xml.parse(path)
    found = []
    for error in tree.iter("error"):
        found.append({
            "kind": error.findtext("kind"),
            "lost": int(error.findtext("xwhat/leakedbytes") or 0),
            "blocks": int(error.findtext("xwhat/leakedblocks") or 0),
            "what": error.findtext("what") or error.findtext("xwhat/text"),
            "about": " ".join(aux.text for aux in error.findall("auxwhat")),
            "stacks": [names(stack) for stack in error.findall("stack")],
        })
    return found


def expect(found, kind, about, site, taker):
    """One error of the kind, whose first stack names `site` and one of whose stacks names
    `taker` called by it; takes it out of the list."""
    for error in found:
        if error["kind"] != kind or about not in error["about"]:
            continue
        stacks = error["stacks"]
        if site in stacks[0] and any(taker in stack and site in stack for stack in stacks):
            found.remove(error)
            return error
    fail(f"no {kind} in {site} of an object of {taker}, {about!r}; left:", *found)


def check_mistakes(found, mode, ways):
    for taker, size, zero in ways:
        expect(found, "InvalidWrite", f"is 0 bytes after a block of size {size:,} alloc'd",
               "overrun", taker)
        expect(found, "InvalidRead", f"is 1 bytes before a block of size {size:,} alloc'd",
               "underrun", taker)
        expect(found, "InvalidRead",
               f"is {size // 2:,} bytes inside a block of size {size:,} free'd",
               "use_after_free", taker)
        if not zero:
            expect(found, "UninitCondition", "", "uninitialised", taker)
        expect(found, "InvalidFree", f"is 0 bytes inside a block of size {size:,} free'd",
               "free_twice", taker)
        lost = expect(found, "Leak_DefinitelyLost", "", "leak", taker)
        if (lost["lost"], lost["blocks"]) != (size, 1):
            fail(f"{taker}'s {size} bytes are lost; memcheck says {lost}")
    # Whose beginning is lost; the rest hangs on it.  What lies in nearheap's memory is
    # reachable to memcheck when it is pointed to from there.
    lost = expect(found, "Leak_DefinitelyLost", "", "leak_list", "leak_list")
    links = 3 if mode == "replaces" else 1
    if (lost["lost"], lost["blocks"]) != (links * LINK, 1):
        fail(f"{links} links of a list are lost; memcheck says {lost}")
    rest = [error for error in found if error["kind"] not in
            ("Leak_StillReachable", "Leak_IndirectlyLost")]
    if rest:
        fail("what was not planted:", *rest)


def main():
    mode, program, *library = sys.argv[1:]
    if shutil.which("valgrind") is None:
        print("skipped: there is no valgrind (Debian: valgrind)")
        sys.exit(77)
    library = library[0] if library else None
    ways = LIBC_WAYS if library else LIBC_WAYS + NH_WAYS
    found = run([program, "clean"], mode, library)
    if found:
        fail("a program without mistakes has these:", *found)
    found = run([program, "all"], mode, library)
    count = len(found)
    check_mistakes(found, mode, ways)
    print(f"{len(ways)} ways to get an object, {count} reports, each as it should be")


main()
