#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""map_test.py BUILD FRAGMENTED: what nearheap-map says of a heap with planted waste, of dumps that
are not right, and what a browser makes of its page.  Status 77 where there is no browser, when
all else is right."""

import errno
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import zlib

sys.dont_write_bytecode = True
TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools")
MAP = os.path.join(TOOLS, "nearheap-map")
sys.path.insert(0, TOOLS)
import map_dump

SEED = 20261125
MUTATIONS = 400
MANY_SPANS = 100000
PLANTED_SIZE = 640
BROWSERS = "chromium", "chromium-browser", "google-chrome"
BROWSER_SECONDS = 120


def fail(what):
    sys.exit(f"map_test: {what}")


def equal(what, found, expected):
    if found != expected:
        fail(f"{what}: {found!r}, where {expected!r} is right")


def run(*arguments, status=0, data=None):
    done = subprocess.run([MAP, *arguments], capture_output=True, text=data is None, input=data,
                          check=False)
    err = done.stderr if data is None else done.stderr.decode()
    if done.returncode != status or "Traceback" in err:
        fail(f"nearheap-map {arguments}: status {done.returncode}, not {status}: {err}")
    return done.stdout, err


def lines_of(path):
    with open(path, encoding="ascii") as file:
        return file.readlines()


# ---- What it says ----

def planted_waste_is_found(dump):
    """Also by adding up the lines of the dump here, in another way."""
    out, _ = run(dump, "--json")
    told = json.loads(out)
    nodes = {node["node"]: node for node in told["nodes"]}
    equal("nodes", sorted(nodes), [0, 1])
    rows = [line.split() for line in lines_of(dump)]
    bytes_of = {row[1]: int(row[2]) for row in rows if row[0] == "class"}
    for number, node in nodes.items():
        mine = [row for row in rows if row[0] == "span" and row[4] == str(number)]
        equal("mapped", node["mapped"], sum(int(row[2]) for row in mine) * 8192)
        objects = [row for row in mine if row[3] == "objects"]
        equal("held", node["held"],
              sum(int(row[8]) * bytes_of[row[6]] for row in objects) +
              sum(int(row[2]) * 8192 for row in mine if row[3] in ("large", "pages")))
        equal("free in spans", node["in_spans"],
              sum((int(row[7]) - int(row[8]) - int(row[9])) * bytes_of[row[6]] for row in objects))
        equal("sums", sum(one["free_bytes"] for one in node["classes"]), node["in_spans"])
        if not node["resident"] <= node["mapped"]:
            fail("more is in memory than there is")
    worst = nodes[1]["classes"][0]
    equal("the class with the planted waste", worst["object_bytes"], PLANTED_SIZE)
    if worst["fill"] > 0.1 or nodes[1]["in_spans"] < 5 * nodes[0]["in_spans"]:
        fail(f"the waste does not stand out: {worst}")
    if nodes[1]["free"] < 50 << 20 or nodes[1]["largest_run"] > nodes[1]["free"] / 10:
        fail(f"free pages are not as scattered as they are: {nodes[1]}")
    out, _ = run(dump)
    if not re.search(r"^! node 1: .* free pages in memory: NEARHEAP_DECAY is -1", out, re.M) or \
            not re.search(r"^! node 1: .* most of objects of 640 B", out, re.M):
        fail(f"the advice lacks what is planted:\n{out}")
    piped, _ = run("-", "--json", data="".join(lines_of(dump)).encode())
    equal("from standard input", piped.decode(), run(dump, "--json")[0])
    equal("one class is listed", len(run(dump, "--classes", "1")[0].split("hold objects:\n")[1]
                                     .split("\n\n")[1].splitlines()), 2)


def interleaved_memory_has_a_name(work):
    dump = os.path.join(work, "interleaved")
    with open(dump, "w", encoding="ascii") as file:
        file.write("nearheap-dump 1\nlibrary 0.1.0\nprocess 1\ntime 1\npage 8192\nrow 256\n"
                   "node 0 mapped_bytes 0\nnode -1 mapped_bytes 0\n"
                   "span 400000000000 256 free -1 -1 0 0 0 0 -\n"
                   "resident 400000000000 all\nend 1\n")
    out, _ = run(dump)
    if not re.search("^interleaved +2048 KiB", out, re.M) or "\n! interleaved memory: " not in out:
        fail(f"of interleaved memory is said: {out}")


# ---- Dumps that are not right ----

def parse(text):
    """None when it is refused in the way it should be."""
    try:
        dump = map_dump.Dump(text.splitlines(keepends=True))
        map_dump.sums(dump)
        return dump
    except map_dump.Failed:
        return None


def bad_dumps_are_refused(dump, work):
    bad = os.path.join(work, "bad")
    lines = lines_of(dump)
    text = "".join(lines)
    generator = random.Random(SEED)
    # A short one, so that each byte matters.
    spans = [at for at, line in enumerate(lines) if line.startswith("span ")]
    rows = [at for at, line in enumerate(lines) if line.startswith("resident ")]
    short = "".join(lines[:spans[0]] + lines[spans[0]:spans[0] + 20] + lines[rows[0]:rows[0] + 3] +
                    ["end 20\n"])
    if parse(text) is None or parse(short) is None:
        fail("a good dump is refused")
    for end in range(len(short)):
        if parse(short[:end]) is not None:
            fail(f"a dump that is cut off at {end} is taken for whole")
    refused = 0
    for _ in range(MUTATIONS):
        changed = list(short)
        for _ in range(generator.choice((1, 1, 2, 8, 64))):
            changed[generator.randrange(len(changed))] = chr(generator.randrange(128))
        refused += parse("".join(changed)) is None
    if not MUTATIONS / 2 < refused:
        fail(f"of {MUTATIONS} spoiled dumps only {refused} are refused")
    span = lines[spans[0]].split()
    for at, value in ((1, "7"), (1, "ffffffffffffffff"), (2, "0"), (2, "99999999999999999999999"),
                      (3, "lost"), (4, "9"), (8, "65537"), (10, "soon"), (10, "")):
        wrong = span[:at] + [value] + span[at + 1:]
        if parse(short.replace(lines[spans[0]], " ".join(wrong) + "\n")) is not None:
            fail(f"a span of {wrong} is taken for right")
    escape = "\33]0;title\7\33[2J"
    for data in (b"", b"\n", b"\0" * 100, generator.randbytes(100000), b"nearheap-dump 2\n",
                 b"nearheap-dump 1\n", b"x" * 10000000, text[:-1].encode(),
                 text.encode() + b"span", "nearheap-dump 1\nlibrary \u00e4\n".encode(),
                 f"nearheap-dump 1\n{escape}\n".encode(),
                 f"nearheap-dump 1\nprocess {escape}\n".encode()):
        with open(bad, "wb") as file:
            file.write(data)
        for arguments in ((bad,), (bad, "--json"), (bad, "-o", os.path.join(work, "bad.html"))):
            _, err = run(*arguments, status=1)
            if not err.startswith(f"nearheap-map: {bad}: ") or not err[:-1].isprintable():
                fail(f"of a bad dump is said: {err}")
    equal("no page of a bad dump", os.path.exists(os.path.join(work, "bad.html")), False)
    run(work, status=1)
    run(os.path.join(work, "none"), status=1)
    run("0", status=1)
    run(dump, "-o", os.path.join(work, "none", "page.html"), status=1)
    run(status=2)
    run(dump, "--moon", status=2)
    run(dump, "--classes", "-1", status=2)
    run("--help")


def full_outputs_are_told(dump):
    _, err = run(dump, "-o", "/dev/full", status=1)
    equal("of a full file", err, f"nearheap-map: /dev/full: {os.strerror(errno.ENOSPC)}\n")
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([MAP, dump], stdout=full, stderr=subprocess.PIPE, text=True,
                              check=False)
    equal("of a full output", (done.returncode, done.stderr),
          (1, f"nearheap-map: standard output: {os.strerror(errno.ENOSPC)}\n"))


def an_interrupt_ends_it(work):
    """Without a word, while it waits for what it reads."""
    fifo = os.path.join(work, "fifo")
    os.mkfifo(fifo)
    with subprocess.Popen([MAP, fifo], stderr=subprocess.PIPE, text=True) as process:
        with open(fifo, "w", encoding="ascii"):  # it has opened it, too
            process.send_signal(signal.SIGINT)
            equal("what an interrupt does", (process.wait(), process.stderr.read()),
                  (-signal.SIGINT, ""))


# ---- The page ----

def many_spans():
    """A dump with as many spans as a large server has, of one node and 30 GiB."""
    generator = random.Random(SEED)
    lines = ["nearheap-dump 1\n", "library 0.1.0\n", "process 1\n", "time 1\n", "page 8192\n",
             "row 256\n", "node 0 mapped_bytes 0\n", "class 40 640 25 2\n"]
    at = 1 << 46
    for k in range(MANY_SPANS):
        if k % 3 == 0:
            pages = generator.randrange(1, 220)
            lines.append(f"span {at:x} {pages} clean 0 0 0 0 0 0 -\n")
        else:
            pages = 2
            lines.append(f"span {at:x} {pages} objects 0 0 40 25 {generator.randrange(26)} 0 -\n")
        at += pages * 8192
    for row in range((1 << 46), at, 2 << 20):
        lines.append(f"resident {row:x} all\n")
    lines.append(f"end {MANY_SPANS}\n")
    return lines


def browse(browser, url, *arguments):
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--force-color-profile=srgb", f"--user-data-dir={home}", "--window-size=900,700",
             *arguments, url], capture_output=True, text=True, timeout=BROWSER_SECONDS,
            env={**os.environ, "HOME": home}, check=False)
    if done.returncode != 0:
        fail(f"{browser}: {done.stderr}")
    return done.stdout


def pixels(path):
    """The colours of a picture in PNG's form, of 8 bits without interlace."""
    with open(path, "rb") as file:
        data = file.read()
    at, body, header = 8, b"", None
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            header = struct.unpack(">IIBB", data[at + 8:at + 18])
        elif kind == b"IDAT":
            body += data[at + 8:at + 8 + length]
        at += length + 12
    width, height, _, kind = header
    deep = {2: 3, 6: 4}[kind]
    raw, stride, above, colours = zlib.decompress(body), width * deep, None, set()
    for y in range(height):
        begin = y * (stride + 1)
        how, line = raw[begin], bytearray(raw[begin + 1:begin + 1 + stride])
        above = above or bytearray(stride)
        for x in range(stride):
            left = line[x - deep] if x >= deep else 0
            corner = above[x - deep] if x >= deep else 0
            if how == 1:
                guess = left
            elif how == 2:
                guess = above[x]
            elif how == 3:
                guess = (left + above[x]) // 2
            elif how == 4:
                near = left + above[x] - corner
                guess = min((left, above[x], corner), key=lambda one: abs(near - one))
            else:
                guess = 0
            line[x] = (line[x] + guess) & 255
        colours.update(bytes(line[x:x + 3]) for x in range(0, stride, deep))
        above = line
    return colours


def the_page_is_drawn(browser, dump, work):
    page = os.path.join(work, "page.html")
    run(dump, "-o", page)
    with open(page, encoding="utf-8") as file:
        content = file.read()
    if re.search(r"""(src|href)\s*=|url\(|@import|https?://""", content):
        fail("the page loads something")
    spans = [line.split() for line in lines_of(dump) if line.startswith("span ")]
    shown = next(span for span in spans if span[3] == "objects" and span[4] == "1")
    inside = int(shown[1], 16) + 100
    dom = browse(browser, f"file://{page}#{inside:x}", "--dump-dom")
    for needed in (f'data-spans="{len(spans)}"', ">node 0</h2>", ">node 1</h2>",
                   f"<b>0x{shown[1]}</b>", f"{shown[8]} held, {shown[9]} in caches",
                   '<td class="number">640 B</td><td>node 1</td>'):
        if needed not in dom:
            fail(f"the page, as the browser has it, lacks {needed}")
    equal("nodes on the page", dom.count('class="node"'), 2)
    picture = os.path.join(work, "page.png")
    browse(browser, f"file://{page}", f"--screenshot={picture}")
    colours = pixels(picture)
    # Free pages, and spans that are nearly empty, have these colours in the picture alone.
    if bytes.fromhex("9aa5b1") not in colours or \
            not any(c[0] > 200 and 80 < c[1] < 110 and 50 < c[2] < 80 for c in colours):
        fail("the picture has not the colours that it should")
    large = os.path.join(work, "large")
    with open(large, "w", encoding="ascii") as file:
        file.writelines(many_spans())
    run(large, "-o", page)
    dom = browse(browser, f"file://{page}", "--dump-dom")
    if f'data-spans="{MANY_SPANS}"' not in dom:
        fail("a page of many spans is not drawn")


def no_file_is_left(prefix, work):
    """By a signal while it asks a process: here a nearheap-ctl that waits, too."""
    begun, hold, folder = (os.path.join(work, name) for name in ("begun", "hold", "temporary"))
    os.mkfifo(begun)
    os.mkfifo(hold)
    os.mkdir(folder)
    ctl = os.path.join(prefix, "bin", "nearheap-ctl")
    os.remove(ctl)
    with open(ctl, "w", encoding="ascii") as file:
        file.write(f"#!/bin/sh\necho >'{begun}'\nread -r _ <'{hold}'\n")
    os.chmod(ctl, 0o755)
    for number in signal.SIGTERM, signal.SIGINT:
        with subprocess.Popen([os.path.join(prefix, "bin", "nearheap-map"), "1"], text=True,
                              stderr=subprocess.PIPE, cwd=work,
                              env={**os.environ, "TMPDIR": folder}) as process:
            with open(begun, encoding="ascii") as file:
                file.read()
            process.send_signal(number)
            equal("its end", process.wait(), -number)
            open(hold, "w", encoding="ascii").close()
            equal("what it says", process.stderr.read(), "")
        equal("files that are left", os.listdir(folder), [])


def as_installed(build, dump, work):
    prefix = os.path.join(work, "usr")
    subprocess.run(["cmake", "--install", build, "--prefix", prefix], stdout=subprocess.DEVNULL,
                   check=True)
    page = os.path.join(work, "installed.html")
    out = subprocess.run([os.path.join(prefix, "bin", "nearheap-map"), dump, "--text", "-o", page],
                         capture_output=True, text=True, check=True).stdout
    equal("what is printed", out, run(dump)[0])
    no_file_is_left(prefix, work)
    for name in "nearheap-map", "nearheap-profile":
        told, built = (subprocess.run([os.path.join(place, name), "--version"], text=True,
                                      capture_output=True, check=True).stdout
                       for place in (os.path.join(prefix, "bin"), TOOLS))
        equal("the version as installed", told, built)
    equal("a page", os.path.getsize(page) > 10000, True)


def what_was_built_is_asked(work):
    """In a source tree, and not what lies where an installed tool would find it."""
    tree = os.path.join(work, "tree")
    for name in "tools", "include":  # it tells its version by a header
        shutil.copytree(os.path.join(TOOLS, "..", name), os.path.join(tree, name))
    for place in os.path.join(work, "bin"), os.path.join(tree, "build", "tools"):
        os.makedirs(place)
        ctl = os.path.join(place, "nearheap-ctl")
        with open(ctl, "w", encoding="ascii") as file:
            file.write(f"#!/bin/sh\necho '{place}' >&2\nexit 1\n")
        os.chmod(ctl, 0o755)
    done = subprocess.run([os.path.join(tree, "tools", "nearheap-map"), "1"], text=True, cwd=work,
                          stderr=subprocess.PIPE, check=False)
    equal("who is asked", done.stderr, f"nearheap-map: {place}\n")


def main():
    build, fragmented = sys.argv[1:]
    with tempfile.TemporaryDirectory() as work:
        dump = os.path.join(work, "dump")
        subprocess.run([fragmented, dump], check=True, env={
            **os.environ, "NEARHEAP_DECAY": "-1",
            "NEARHEAP_TOPOLOGY": "synthetic:numa:2 core:2 pu:1"})
        planted_waste_is_found(dump)
        interleaved_memory_has_a_name(work)
        bad_dumps_are_refused(dump, work)
        full_outputs_are_told(dump)
        an_interrupt_ends_it(work)
        as_installed(build, dump, work)
        what_was_built_is_asked(work)
        browser = next(filter(None, map(shutil.which, BROWSERS)), None)
        if browser is None:
            print("map_test: there is no chromium: the page was not looked at")
            sys.exit(77)
        the_page_is_drawn(browser, dump, work)


main()
