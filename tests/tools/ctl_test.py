#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ctl_test.py BUILD PROGRAM: what nearheap-ctl asks of a process and changes in it: each
live option has its effect; what is wrong is named; clients that are others', slow, many or talk nonsense
do no harm; forks and programs that close descriptors."""

import array
import json
import mmap
import os
import pty
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

BUILD = os.path.realpath(sys.argv[1])
CTL = os.path.join(BUILD, "tools", "nearheap-ctl")
PROGRAM = sys.argv[2]
TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools")
PATIENCE_S = 60
SEED = 20261125
CLIENTS = 40
CYCLES = 50
NOBODY, OTHER = 65534, 65533


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


# ---- Options ----

def options_have_their_effect(work):
    with Program(NEARHEAP_DECAY="-1") as program:
        # VERBOSE, DECAY and scavenge.
        program.order("hold 20000000")
        program.order("drop")
        if program.node(1)["free_bytes"] - program.node(1)["released_bytes"] < 10000000:
            fail("what is dropped is not kept, where nothing decays")
        released = json.loads(ctl(program.pid, "--json", "scavenge"))["released_bytes"]
        if released < 10000000 or "scavenge:" in program.said():
            fail(f"scavenge gave back {released}, or was told of")
        equal("set", ctl(program.pid, "set", "verbose", "3"), "")
        equal("get", program.value("NEARHEAP_VERBOSE"), "3")
        program.order("hold 20000000")
        ctl(program.pid, "set", "NEARHEAP_DECAY", "0")
        program.order("drop")
        node = program.node(1)
        if node["free_bytes"] - node["released_bytes"] > 1000000:
            fail(f"with a decay of 0 free pages stay: {node}")
        if "scavenge:" not in program.said():
            fail("scavenges are not told of with VERBOSE 3")
        ctl(program.pid, "set", "decay", "-1")
        ctl(program.pid, "set", "verbose", "1")

        # BAD_FREE: the program lives on.
        ctl(program.pid, "set", "BAD_FREE", "report")
        equal("a bad free", program.order("bad"), "done")
        if "not from this heap" not in program.said():
            fail("a bad free is not reported")
        before = program.said()
        ctl(program.pid, "set", "bad-free", "ignore")
        equal("another", program.order("bad"), "done")
        equal("what is said of it", program.said(), before)

        # INTERLEAVE.
        equal("a large object", program.order("large").isdigit(), True)
        ctl(program.pid, "set", "INTERLEAVE", "1m")
        equal("the next", program.order("large"), "interleaved")
        ctl(program.pid, "set", "INTERLEAVE", "0")

        # CACHE: how often it is filled in a cycle of 4000 objects.
        refills = []
        for size in ("512k", "0", "512k"):
            ctl(program.pid, "set", "CACHE", size)
            for _ in range(CYCLES):
                program.order("cycle")
            before = count(program, "refills")
            program.order("cycle")
            refills.append(count(program, "refills") - before)
        if not refills[1] > 2000 or not max(refills[0], refills[2]) < 500:
            fail(f"with caches of 512k, 0 and 512k bytes a cycle fills them {refills} times")

        # NODE_LIMIT: the other node lends.
        equal("pages lent", program.node(0)["lent_bytes"], 0)
        ctl(program.pid, "set", "NODE_LIMIT", "1=8m")
        equal("more than the limit", program.order("hold 40000000"), "done")
        if program.node(0)["lent_bytes"] < 20000000:
            fail("the limit of a node has no effect")
        program.order("drop")
        ctl(program.pid, "set", "NODE_LIMIT", "")
        equal("the limit is gone", ctl(program.pid, "get", "NODE_LIMIT").split(),
              ["NEARHEAP_NODE_LIMIT", "live"])
        ctl(program.pid, "scavenge")
        borrowed = program.node(1)["borrows"]
        equal("without it", program.order("hold 40000000"), "done")
        equal("loans since", program.node(1)["borrows"] - borrowed, 0)

        # HUGE: of what is mapped from then on.
        ctl(program.pid, "set", "HUGE", "always")
        flags = flags_of(program.pid, int(program.order("map"), 16))
        if flags is not None and os.path.exists("/sys/kernel/mm/transparent_hugepage") and \
                "hg" not in flags:
            fail(f"new memory has no huge pages: {flags}")

        # PROFILE_RATE, before and while a profile is taken; in the file is what held.
        profile = os.path.join(work, "profile")
        for option, start in (("64k", "start"), ("128k", None)):
            ctl(program.pid, "set", "PROFILE_RATE", option)
            if start:
                ctl(program.pid, "profile", start)
            ctl(program.pid, "profile", "write", "-o", profile)
            totals = subprocess.run([os.path.join(TOOLS, "nearheap-profile"), "totals", "--json",
                                     profile], capture_output=True, text=True, check=True)
            equal("the rate", json.loads(totals.stdout)["rate"], int(option[:-1]) * 1024)
        ctl(program.pid, "profile", "start", "4k")
        program.order("cycle")
        ctl(program.pid, "profile", "stop")
        ctl(program.pid, "profile", "write", "-o", profile)
        totals = subprocess.run([os.path.join(TOOLS, "nearheap-profile"), "totals", "--json",
                                 profile], capture_output=True, text=True, check=True)
        if json.loads(totals.stdout)["samples"] == 0:
            fail("a profile that was started has no samples")


def count(program, name):
    return program.node(0)[name] + program.node(1)[name]


def flags_of(pid, address):
    inside = False
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as file:
        for line in file:
            if match := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
                inside = int(match[1], 16) <= address < int(match[2], 16)
            elif inside and line.startswith("VmFlags:"):
                return line.split()
    return None


def what_is_wrong_is_named(work):
    with Program() as program:
        for words, said in (
                (("set", "DECAY", "soon"), "NEARHEAP_DECAY=soon is not a whole number"),
                (("set", "DECAY", "-2"), "NEARHEAP_DECAY=-2 is not a whole number"),
                (("set", "CACHE", "17m"), "NEARHEAP_CACHE=17m is not a whole number"),
                (("set", "CACHE", ""), "NEARHEAP_CACHE= is not a whole number"),
                (("set", "HUGE", "yes"), "NEARHEAP_HUGE=yes is not one of default|always|never"),
                (("set", "NODE_LIMIT", "0:2"), "NEARHEAP_NODE_LIMIT=0:2 is not a size"),
                (("set", "NODE_LIMIT", "1" * 600), "NEARHEAP_NODE_LIMIT is longer than"),
                (("set", "POLICY", "bind"), "NEARHEAP_POLICY is read at the process's start"),
                (("set", "STATS", "/tmp/x"), "NEARHEAP_STATS is read at the process's start"),
                (("set", "MOON", "1"), "there is no option 'NEARHEAP_MOON'"),
                (("get", "MOON"), "there is no option 'NEARHEAP_MOON'"),
                (("scavenge", "7"), "there is no node '7'"),
                (("scavenge", "4294967296"), "there is no node '4294967296'"),
                (("scavenge", "all"), "no whole number: 'all'"),
                (("migrate", "0", "99"), "Invalid argument"),
                (("profile", "start", "0"), "no rate: '0'")):
            if said not in ctl(program.pid, *words, status=1):
                fail(f"of {words} is not said: {said}")
        for words in ((), ("moon",), ("set",), ("set", "DECAY"), ("get", "a", "b"), ("profile",),
                      ("profile", "moon"), ("dump", "-o"), ("dump", "--moon"),
                      ("scavenge", "0", "1"),
                      ("migrate", "0"), ("set", "DECAY", "1\n2"), ("get", "x" * 2000),
                      ("--wait", "0", "get")):
            ctl(program.pid, *words, status=2)
        ctl("x", "get", status=2)
        ctl(os.getpid(), "get", status=1)
        ctl(2 ** 22 + 1, "get", status=1)
        ctl(program.pid, "dump", "-o", os.path.join(work, "none", "dump"), status=1)
        equal("options are", {line.split()[0] for line in ctl(program.pid, "get").splitlines()
                              if line.split()[1] == "live"},
              {f"NEARHEAP_{name}" for name in ("VERBOSE", "CACHE", "DECAY", "HUGE", "BAD_FREE",
                                               "INTERLEAVE", "NODE_LIMIT", "PROFILE_RATE",
                                               "GUARD")})
        equal("as JSON", [one["value"] for one in json.loads(ctl(program.pid, "get", "--json"))
                          if one["option"] == "NEARHEAP_DECAY"], ["10000"])
        equal("nothing has changed", program.value("DECAY"), "10000")
        # A pipe for output is copied to; the dump is whole.
        equal("the dump's end", ctl(program.pid, "dump").splitlines()[-1].split()[0], "end")


# ---- Clients ----

def nonsense_does_no_harm():
    generator = random.Random(SEED)
    with Program() as program:
        equal("a command", program.speak(b"get NEARHEAP_DECAY\n"),
              "ok\nNEARHEAP_DECAY live 10000\n")
        equal("no command", program.speak(b""), "")
        equal("half of one", program.speak(b"get"), "")
        equal("nothing", program.speak(b"\n"), "error there is no command ''\n")
        equal("too much", program.speak(b"x" * 1024), "error the command is too long\n")
        equal("more than is read", program.speak(b"x" * 100000), "error the command is too long\n")
        for bad in (b"set NEARHEAP_DECAY \xff\x00\n", b"migrate 9 9 9\n", b"scavenge  \t\n",
                    b"profile start -1\n", b"get %s%s%n\n", b"stats moon\n"):
            if not program.speak(bad).startswith("error "):
                fail(f"{bad} is taken for right")
        for _ in range(100):
            program.speak(generator.randbytes(generator.randrange(1, 1500)))
        read, write = os.pipe()
        with socket.socket(socket.AF_UNIX) as other, tempfile.TemporaryFile() as file:
            for wrong in (read, write, other.fileno(), os.open("/dev/null", os.O_WRONLY)):
                equal("no regular file", program.speak(b"dump\n", [wrong]),
                      "error no regular file came with the command\n")
            equal("no file", program.speak(b"dump\n"),
                  "error no regular file came with the command\n")
            equal("many files", program.speak(b"dump\n", [file.fileno()] + [write] * 100), "ok\n")
            with open(file.fileno(), "rb", closefd=False) as only_read:
                only_read.seek(0)
                equal("the dump", only_read.read(14), b"nearheap-dump ")
            path = f"/proc/self/fd/{file.fileno()}"
            unwritable = os.open(path, os.O_RDONLY)
            equal("a file that cannot be written", program.speak(b"dump\n", [unwritable]),
                  "error errno 9\n")
        descriptors = f"/proc/{program.pid}/fd"
        # Standard ones and the listener: nothing that came was kept.
        until("closing of all that came", lambda: len(os.listdir(descriptors)) <= 4)
        ctl(program.pid, "get")


def answers_that_mean_ill_do_no_harm():
    """This process answers, as one that is not what it seems to be."""
    os.makedirs(folder(os.geteuid()), mode=0o700, exist_ok=True)
    path = socket_of(os.getpid())
    cases = (
        (("get",), b"ok\nNEARHEAP_X live \x1b[2J\x07\xff\n", 0,
         "NEARHEAP_X               live   ?[2J??\n"),
        (("--json", "get"), b'ok\n"\\\t a\x1b" b"\n', 0,
         '[\n  {"option": "\\"\\\\?", "live": false, "value": "b\\""}\n]\n'),
        (("scavenge",), b"ok\nreleased_bytes \x1b[2J\n", 1, "as it should"),
        (("--json", "scavenge"), b'ok\nreleased_bytes 1, "more": 2\n', 1, "as it should"),
        (("--json", "scavenge"), b"ok\nreleased_bytes 01\n", 1, "as it should"),
        (("scavenge",), b"error \x1b]0;\x07\n", 1, "nearheap-ctl: ?]0;?\n"),
        (("scavenge",), b"\n", 1, "as it should"),
        (("scavenge",), b"", 1, "as it should"),
        (("scavenge",), b"ok" * 10000, 1, "as it should"),
    )
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    try:
        listener.listen()
        for words, data, status, expected in cases:
            def answer():
                client, _ = listener.accept()
                with client:
                    client.recv(4096)
                    try:
                        client.sendall(data)
                    except OSError:
                        pass  # it has heard enough
            thread = threading.Thread(target=answer)
            thread.start()
            said = ctl(os.getpid(), *words, status=status)
            thread.join()
            if expected not in said:
                fail(f"{words}, answered {data[:40]!r}: {said!r}")
    finally:
        listener.close()
        os.unlink(path)


def reports_that_mean_ill_do_no_harm(work):
    """This process is sent what to write a report to, and does with it what it can."""
    kept, output = [], os.path.join(work, "output")

    def write(data):
        return lambda fd: os.write(fd, data)

    def map_it(fd):
        os.write(fd, bytes(mmap.PAGESIZE))
        kept.append(mmap.mmap(fd, mmap.PAGESIZE))

    def spoil_output(fd):
        os.ftruncate(fd, 0)
        os.write(fd, b"report\n")
        os.lseek(fd, 3, os.SEEK_SET)

    raw = b"a\x1b[2J\x07\x00\t\xff\xc3\xa9\nb\n"
    printable = b"a?[2J??????\nb\n"
    path = socket_of(os.getpid())
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)

    def ask(words, act, **more):
        """What nearheap-ctl does when the process does that, and the memory it sent."""
        held = []

        def answer():
            client, _ = listener.accept()
            with client:
                _, files, _, _ = socket.recv_fds(client, 4096, 1)
                held.extend(files)
                act(files[0])
                client.sendall(b"ok\n")
        thread = threading.Thread(target=answer)
        thread.start()
        done = subprocess.run([CTL, str(os.getpid()), *words], check=False,
                              **{"capture_output": True, **more})
        thread.join()
        return done, held[0]

    def expect(what, words, act, status, stdout, said=b""):
        done, fd = ask(words, act)
        os.close(fd)
        equal(what, (done.returncode, done.stdout), (status, stdout))
        if said not in done.stderr:
            fail(f"{what}: {done.stderr}")

    try:
        listener.listen()
        for command in ("stats", "dump"):
            expect(f"{command}, printed", (command,), write(raw), 0, printable)
        expect("a profile", ("profile", "write"), write(raw), 0, raw)
        long = b"x" * 200000 + b"\x1b"
        expect("a long report", ("stats",), write(long), 0, long[:-1] + b"?")
        expect("holes", ("stats", "-o", "/dev/null"), lambda fd: os.ftruncate(fd, 1 << 33), 1, b"",
               b"as it should")
        expect("memory that is mapped", ("stats",), map_it, 1, b"", b"does not let go")

        # A file that is appended to keeps what it has, and is not the process's.
        for words, start in ((("stats",), b"kept\n"), (("stats", "-o", output), b"")):
            with open(output, "wb") as file:
                file.write(b"kept\n")
            with open(output, "ab") as file:
                done, fd = ask(words, spoil_output, capture_output=False, stdout=file)
            equal("appending", done.returncode, 0)
            with open(output, "rb") as file:
                equal("the output", file.read(), start + b"report\n")
                equal("is the process's", os.path.sameopenfile(fd, file.fileno()), False)
            try:
                os.write(fd, b"more")
                fail("what was sent can be written to when it has been copied")
            except PermissionError:
                pass
            os.close(fd)

        # A terminal is sent no bytes of a profile.
        terminal, end = pty.openpty()
        done = subprocess.run([CTL, str(os.getpid()), "profile", "write"], stdout=end,
                              stderr=subprocess.PIPE, check=False)
        os.close(terminal)
        os.close(end)
        equal("a profile on a terminal", (done.returncode, b"--output" in done.stderr), (2, True))
    finally:
        listener.close()
        os.unlink(path)


def many_and_slow_clients_are_served():
    with Program() as program:
        slow = [socket.socket(socket.AF_UNIX) for _ in range(12)]
        for client in slow:
            client.connect(socket_of(program.pid))
        slow[0].send(b"ge")
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(program.value("DECAY")))
                   for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal("answers", answers, ["10000"] * CLIENTS)
        slow[0].settimeout(PATIENCE_S)
        try:
            equal("who does not go on", slow[0].recv(100), b"")
        except ConnectionResetError:
            pass
        for client in slow:
            client.close()


def others_are_refused(work):
    """Where we are root, and can be others."""
    built = os.path.join(BUILD, "libnearheap.so.0")
    if os.geteuid() != 0 or not os.path.exists(built):
        return
    os.chmod(work, 0o755)
    program_path = shutil.copy(PROGRAM, work)
    library = shutil.copy(os.path.realpath(built), os.path.join(work, "libnearheap.so.0"))
    ctl_path = shutil.copy(CTL, work)
    for path in program_path, library, ctl_path:
        os.chmod(path, 0o755)
    with Program(user=NOBODY, program=program_path, LD_LIBRARY_PATH=work) as program:
        path = socket_of(program.pid, NOBODY)
        equal("its mode", os.stat(path).st_mode & 0o777, 0o600)
        equal("its folder's", os.stat(folder(NOBODY)).st_mode & 0o777, 0o700)
        ctl(program.pid, "get")  # root may

        def as_user(uid):
            return subprocess.run([ctl_path, str(program.pid), "get"], user=uid,
                                  capture_output=True, text=True, check=False)
        equal("its user", as_user(NOBODY).returncode, 0)
        refused = as_user(OTHER)
        equal("another", (refused.returncode, "Permission denied" in refused.stderr), (1, True))
        # Were the folder open, nearheap-ctl would not go there, and the process itself would
        # look who it is.
        os.chmod(folder(NOBODY), 0o755)
        os.chmod(path, 0o666)
        refused = as_user(OTHER)
        client = subprocess.run([sys.executable, "-c", CLIENT, path, str(OTHER)], text=True,
                                capture_output=True, check=True)
        os.chmod(folder(NOBODY), 0o700)
        equal("another, where it is open", (refused.returncode, "alone" in refused.stderr),
              (1, True))
        equal("another, by the process", client.stdout,
              "error the process is another user's\n")


# Asks as that user, without looking where.
CLIENT = """import os, socket, sys
client = socket.socket(socket.AF_UNIX)
os.setuid(int(sys.argv[2]))
client.connect(sys.argv[1])
try:
    client.sendall(b"get\\n")
except BrokenPipeError:
    pass  # it has heard enough
print(client.recv(4096).decode(), end="")"""

# Listens with the rights of one user in the folder of another, till it is killed.
IMPOSTOR = """import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
path = sys.argv[1] % os.getpid()
listener.bind(path)
os.seteuid(int(sys.argv[2]))
listener.listen()
os.seteuid(0)
print("ready", flush=True)
while True:
    client, _ = listener.accept()
    client.recv(4096)
    client.sendall(b"ok\\n")
    client.close()"""


def others_folders_are_left_alone():
    """A stranger's, of another user's name; and a socket that another than the folder's user
    listens at, as whose number is the process's by now may have left it."""
    if os.geteuid() != 0:
        return
    strangers = folder(OTHER)
    os.mkdir(strangers)
    os.chown(strangers, NOBODY, NOBODY)
    waiting = []
    try:
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE, user=OTHER) as asked, \
                socket.socket(socket.AF_UNIX) as listener:
            path = socket_of(asked.pid, OTHER)
            listener.bind(path)
            listener.listen(0)
            try:
                while True:  # until who connects must wait
                    waiting.append(socket.socket(socket.AF_UNIX))
                    waiting[-1].setblocking(False)
                    waiting[-1].connect(path)
            except BlockingIOError:
                pass
            said = ctl(asked.pid, "--wait", "1", "get", status=1)
            if "not its user's alone" not in said:
                fail(f"in a stranger's folder: {said}")
    finally:
        for client in waiting:
            client.close()
        shutil.rmtree(strangers)
    os.makedirs(folder(0), mode=0o700, exist_ok=True)
    with subprocess.Popen([sys.executable, "-c", IMPOSTOR, f"{folder(0)}/%d.sock", str(OTHER)],
                          stdout=subprocess.PIPE, text=True) as impostor:
        try:
            equal("the impostor", impostor.stdout.readline(), "ready\n")
            said = ctl(impostor.pid, "get", status=1)
            if "NEARHEAP_SHARE=1" not in said:
                fail(f"a socket of another user's: {said}")
        finally:
            impostor.kill()
            os.unlink(socket_of(impostor.pid))


# ---- The process's life ----

def sockets_come_and_go():
    with Program() as program:
        ctl(program.pid, "set", "DECAY", "77")
        child = int(program.order("fork"))
        until("the child's socket", lambda: os.path.exists(socket_of(child)))
        equal("the child's options are its parent's", program_value(child, "DECAY"), "77")
        ctl(child, "set", "DECAY", "88")
        equal("the child's is set", program_value(child, "DECAY"), "88")
        equal("not its parent's", program.value("DECAY"), "77")
        equal("the child ends", program.order("end"), "done")
        equal("and its socket", os.path.exists(socket_of(child)), False)
        equal("descriptors are closed", program.order("close"), "done")
        until("another socket", lambda: subprocess.run([CTL, str(program.pid), "get"], check=False,
                                                       capture_output=True).returncode == 0)
        left = socket_of(program.pid)
    equal("a socket at the end", os.path.exists(left), False)
    # What a killed process leaves, the next one removes.
    killed = Program()
    killed.process.kill()
    killed.process.wait()
    equal("a killed process's socket", os.path.exists(socket_of(killed.pid)), True)
    ctl(killed.pid, "get", status=1)
    with Program():
        equal("is removed", os.path.exists(socket_of(killed.pid)), False)


def program_value(pid, option):
    return ctl(pid, "get", option).split()[-1]


def main():
    subprocess.run([CTL, "--help"], stdout=subprocess.DEVNULL, check=True)
    with tempfile.TemporaryDirectory() as work:
        options_have_their_effect(work)
        what_is_wrong_is_named(work)
        nonsense_does_no_harm()
        answers_that_mean_ill_do_no_harm()
        reports_that_mean_ill_do_no_harm(work)
        many_and_slow_clients_are_served()
        sockets_come_and_go()
        others_are_refused(work)
        others_folders_are_left_alone()


main()
