# SPDX-License-Identifier: LGPL-2.1-or-later
"""ctl_asked.py: a process that is asked by nearheap-ctl, for ctl_test.py, whose arguments
these are."""

import array
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

BUILD = os.path.realpath(sys.argv[1])
CTL = os.path.join(BUILD, "tools", "nearheap-ctl")
PROGRAM = sys.argv[2]
PATIENCE_S = 60


def fail(what):
    sys.exit(f"ctl_test: {what}")


def equal(what, found, expected):
    if found != expected:
        fail(f"{what}: {found!r}, where {expected!r} is right")


def until(what, condition):
    """Waits for what happens beside us, in threads that tell nobody."""
    end = time.monotonic() + PATIENCE_S
    while not (result := condition()):
        if time.monotonic() > end:
            fail(f"{what} does not happen")
        time.sleep(0.02)
    return result


def ctl(pid, *words, status=0):
    done = subprocess.run([CTL, str(pid), *words], capture_output=True, text=True, check=False)
    if done.returncode != status:
        fail(f"nearheap-ctl {words}: status {done.returncode}, not {status}: {done.stderr}")
    one_line = done.stderr.startswith("nearheap-ctl: ") and done.stderr.count("\n") == 1
    if status != 0 and not one_line:
        fail(f"nearheap-ctl {words} says: {done.stderr}")
    return done.stdout if status == 0 else done.stderr


def folder(uid):
    return f"/dev/shm/nearheap-{uid}" if os.path.isdir("/dev/shm") else f"/tmp/nearheap-{uid}"


def socket_of(pid, uid=None):
    return os.path.join(folder(os.geteuid() if uid is None else uid), f"{pid}.sock")


def listen_in(place, backlog):
    """This process, as one that shares its heap there.  The socket has its name when it listens:
    processes that begin or end beside us remove one at which nobody does.  The folder stays, as
    where processes do: others may be about to use it."""
    os.makedirs(place, mode=0o700, exist_ok=True)
    path = os.path.join(place, f"{os.getpid()}.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{path}.new")
    listener.listen(backlog)
    os.rename(f"{path}.new", path)
    return listener


def leave(place):
    """Before the listener is closed."""
    os.unlink(os.path.join(place, f"{os.getpid()}.sock"))


def fill(path):
    """Connects to who does not accept, until who comes next must wait."""
    waiting = []
    try:
        while True:
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[-1].setblocking(False)
            waiting[-1].connect(path)
    except BlockingIOError:
        return waiting


class Program:
    def __init__(self, user=None, program=PROGRAM, **variables):
        self.errors = tempfile.TemporaryFile("w+")
        environment = {**os.environ, "NEARHEAP_SHARE": "1",
                       "NEARHEAP_TOPOLOGY": "synthetic:numa:2 core:2 pu:1", **variables}
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, text=True, env=environment, user=user)
        equal("the program", self.process.stdout.readline(), "ready\n")
        self.pid = self.process.pid
        until("the socket", lambda: os.path.exists(socket_of(self.pid, user)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        if self.process.wait() != 0:
            fail(f"the program ends with status {self.process.returncode}: {self.said()}")
        self.process.stdout.close()
        self.errors.close()

    def order(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def node(self, number):
        """One node's counters."""
        stats = json.loads(ctl(self.pid, "stats", "--json"))
        return next(node for node in stats["nodes"] if node["node"] == number)

    def value(self, option):
        return ctl(self.pid, "get", option).split()[-1]

    def speak(self, data, files=()):
        """What a client of any kind is answered."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE_S)
            client.connect(socket_of(self.pid))
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))]
            try:
                client.sendmsg([data], rights if files else [])
                client.shutdown(socket.SHUT_WR)
            except BrokenPipeError:
                pass  # it has heard enough
            answer = b""
            try:
                while part := client.recv(4096):
                    answer += part
            except ConnectionResetError:
                pass  # and this is how that ends
            return answer.decode(errors="replace")
