#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The call site that sends memory across nodes is found: README's example.

    crossnode.py PROGRAM [NUMA-VM ARGUMENT...]

PROGRAM is planted.c's, on the nodes of a synthetic topology, or in a guest that the
further words start."""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SENT, BYTES = 4000, 3072  # bytes of the size class
RATE = "32k"


def fail(*words):
    sys.exit("crossnode.py: " + " ".join(map(str, words)))


def unwinder():
    """libgcc_s, which is opened by name, so that nothing names its place."""
    for line in subprocess.run(["/sbin/ldconfig", "-p"], stdout=subprocess.PIPE, text=True,
                               check=True).stdout.splitlines():
        if "libgcc_s.so.1" in line and "x86-64" in line:
            return line.split()[-1]
    fail("there is no libgcc_s.so.1")


def run_here(program, path):
    subprocess.run([program, "crossnode"], check=True, env={
        **os.environ, "NEARHEAP_PROFILE": path, "NEARHEAP_PROFILE_RATE": RATE})


def run_in_guest(vm, program, path):
    for needed in "qemu-system-x86_64", "busybox":
        if shutil.which(needed) is None:
            print(f"skipped: there is no {needed}")
            sys.exit(77)
    line = f"{program} crossnode && base64 /profile"
    run = subprocess.run([*vm, "--copy", program, "--copy", unwinder(),
                          "--env", "NEARHEAP_PROFILE=/profile",
                          "--env", f"NEARHEAP_PROFILE_RATE={RATE}", "--", "sh", "-c", line],
                         stdout=subprocess.PIPE)
    if run.returncode != 0:
        fail("the guest ended with", run.returncode, "and said", run.stdout.decode())
    with open(path, "wb") as file:
        file.write(base64.b64decode(run.stdout))


def main():
    program, *vm = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "profile")
        run_in_guest(vm, program, path) if vm else run_here(program, path)
        tool = [os.path.join(ROOT, "tools", "nearheap-profile"), "crossnode"]
        found = json.loads(subprocess.run([*tool, "--json", path], check=True,
                                          stdout=subprocess.PIPE).stdout)
        text = subprocess.run([*tool, path], check=True, stdout=subprocess.PIPE, text=True).stdout
    print(text, end="")
    rows = found["crossings"]
    if not rows:
        fail("no site was found")
    first = rows[0]
    if first["site"][0]["function"] != "planted_remote":
        fail("the first site is", first)
    # 350 samples: 18 are a standard deviation.
    if abs(first["bytes"] / (SENT * BYTES) - 1) > 6 * 0.052:
        fail(f"it sent {SENT * BYTES} bytes, and not", first["bytes"])
    if first["share"] < 0.99 or int(first["alloc_node"]) >= int(first["free_node"]):
        fail("all of it crosses from the first node to the last, not", first)
    if any(call["function"] == "planted_local" for row in rows for call in row["site"]):
        fail("what stays at home was listed:", rows)
    if "planted_remote" not in text.splitlines()[1]:
        fail("the table is", text)


main()
