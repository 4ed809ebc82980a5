#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ctl_test.py BUILD PROGRAM: what nearheap-ctl asks of a process and changes in it: each
live option has its effect; what is wrong is named; clients that are slow, many or talk nonsense
do no harm, nor does who means ill (ctl_strangers.py, ctl_waits.py); forks and programs that close
descriptors."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading

sys.dont_write_bytecode = True
import ctl_strangers
import ctl_waits
from ctl_asked import CTL, PATIENCE_S, Program, ctl, equal, fail, socket_of, until

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools")
SEED = 20261125
CLIENTS = 40
CONNECTIONS = 8  # that a process has at once (control.c)
CYCLES = 50
LONGEST_NAME = 1024 - len("get NEARHEAP_\n\0")  # with these it fills the command's room
CHILDREN = 3


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
        if not re.search(r"^nearheap: \d+\.\d{3} scavenge: node 1 gave back", program.said(), re.M):
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
        ctl(program.pid, "set", "INTERLEAVE", "4k")
        equal("a small one of that size", program.order("aligned").isdigit(), True)
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
                (("set", "NODE_LIMIT", "0"), "leaves no memory (the empty value sets none)"),
                (("set", "NODE_LIMIT", "7=1g"), "there is no node 7 with memory"),
                (("set", "NODE_LIMIT", "0=4m,0=8m"), "limits node 0 twice"),
                (("set", "NODE_LIMIT", "1" * 600), "NEARHEAP_NODE_LIMIT is longer than"),
                (("set", "POLICY", "bind"), "NEARHEAP_POLICY is read at the process's start"),
                (("set", "STATS", "/tmp/x"), "NEARHEAP_STATS is read at the process's start"),
                (("set", "MOON", "1"), "there is no option 'NEARHEAP_MOON'"),
                (("get", "MOON"), "there is no option 'NEARHEAP_MOON'"),
                (("scavenge", "7"), "there is no node '7'"),
                (("scavenge", "4294967296"), "there is no node '4294967296'"),
                (("scavenge", "all"), "no whole number: 'all'"),
                (("migrate", "0", "99"), "there is no node '99'"),
                (("migrate", "4294967296", "0"), "there is no node '4294967296'"),
                (("migrate", "0", "1"), "memory cannot be moved here"),
                (("profile", "start", "0"),
                 "NEARHEAP_PROFILE_RATE=0 is not a whole number from 1 to")):
            if said not in ctl(program.pid, *words, status=1):
                fail(f"of {words} is not said: {said}")
        out = os.path.join(work, "out")
        for words, said in (
                (("profile",), "'profile' is to be followed by start, stop or write"),
                (("profile", "moon"), "'profile' is to be followed by start, stop or write"),
                (("set", "DECAY"), "'set' takes 2 values, not 1"),
                (("scavenge", "0", "1"), "'scavenge' takes 0 to 1 values, not 2"),
                (("profile", "stop", "1"), "'profile stop' takes no values, not 1"),
                (("get", "-o", out), "'get' writes no file"),
                (("scavenge", "-o", out), "'scavenge' writes no file"),
                (("-o", out, "set", "DECAY", "5"), "'set' writes no file"),
                (("profile", "start", "-o", out), "'profile start' writes no file"),
                (("--json", "set", "DECAY", "5"), "'set' prints no JSON"),
                (("dump", "--json"), "'dump' prints no JSON")):
            if said not in ctl(program.pid, *words, status=2):
                fail(f"of {words} is not said: {said}")
        equal("a file that nobody writes", os.path.exists(out), False)
        equal("where values begin", len({line.index(line.split()[1])
                                         for line in ctl(program.pid, "get").splitlines()}), 1)
        for words in ((), ("moon",), ("set",), ("set", "DECAY"), ("get", "a", "b"), ("profile",),
                      ("profile", "moon"), ("dump", "-o"), ("dump", "--moon"),
                      ("scavenge", "0", "1"),
                      ("migrate", "0"), ("set", "DECAY", "1\n2"),
                      ("get", "DECAY\nset NEARHEAP_DECAY 1"),
                      ("get", "x" * 2000), ("get", "x" * LONGEST_NAME + "x"),
                      ("--wait", "0", "get")):
            ctl(program.pid, *words, status=2)
        ctl(program.pid, "get", "x" * LONGEST_NAME, status=1)
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
    # What a killed process leaves, the next one removes; or one beside this test, before.
    killed = Program()
    killed.process.kill()
    killed.process.wait()
    ctl(killed.pid, "get", status=1)
    with Program():
        equal("is removed", os.path.exists(socket_of(killed.pid)), False)


def what_killed_children_leave_is_removed():
    """By their parent, which lives on; as of children that end by _exit."""
    with Program() as program:
        left = []
        for _ in range(CHILDREN):
            child = int(program.order("fork"))
            left += [socket_of(child), socket_of(child).removesuffix(".sock")]
            until("the child's socket", lambda: os.path.exists(left[-2]))
            os.kill(child, signal.SIGKILL)
            equal("the child is gone", program.process.stdout.readline(), "done\n")
        until("removal", lambda: not any(map(os.path.exists, left)))
        equal("the parent's socket", os.path.exists(socket_of(program.pid)), True)
        ctl(program.pid, "get")


def listener_of_the_program_is_left_alone():
    """One that has the number of the library's, which was closed while so many clients were
    there that no more were accepted."""
    with Program() as program:
        clients = [socket.socket(socket.AF_UNIX) for _ in range(CONNECTIONS + 1)]
        for client in clients:
            client.settimeout(PATIENCE_S)
            client.connect(socket_of(program.pid))
        until("what is served at once",
              lambda: len(os.listdir(f"/proc/{program.pid}/fd")) >= CONNECTIONS + 4)
        name = program.order("take")
        with socket.socket(socket.AF_UNIX) as visitor:
            ask(clients[0])
            visitor.connect(f"\0{name}")
            # At the second answer the attendant has looked at what was there before the first.
            ask(clients[1])
            ask(clients[2])
            equal("who visits the program", program.order("accept"), "a client")
        until("another socket", lambda: subprocess.run([CTL, str(program.pid), "get"], check=False,
                                                       capture_output=True).returncode == 0)
        for client in clients:
            client.close()


def files_that_became_the_programs_are_not_written_to():
    """While a dump is made, which waits here for a lock."""
    with Program() as program:
        until("a dump that waits", lambda: is_held_up(program))
        equal("what came into the program's files", program.order("written"), "nothing")


def is_held_up(program):
    with tempfile.TemporaryFile() as file, socket.socket(socket.AF_UNIX) as client:
        equal("all locks", program.order("hold-up"), "held up")
        client.settimeout(PATIENCE_S)
        client.connect(socket_of(program.pid))
        socket.send_fds(client, [b"dump\n"], [file.fileno()])
        told = program.process.stdout.readline()
        ctl(program.pid, "get")  # when that is answered, the dump is over
        return told == "done\n"


def ask(client):
    """An answer, or the end of one whom the process has not served for too long."""
    try:
        client.send(b"get NEARHEAP_DECAY\n")
        client.recv(4096)
    except (BrokenPipeError, ConnectionResetError):
        pass


def program_value(pid, option):
    return ctl(pid, "get", option).split()[-1]


def main():
    subprocess.run([CTL, "--help"], stdout=subprocess.DEVNULL, check=True)
    with tempfile.TemporaryDirectory() as work:
        options_have_their_effect(work)
        what_is_wrong_is_named(work)
        nonsense_does_no_harm()
        ctl_strangers.answers_that_mean_ill_do_no_harm()
        ctl_strangers.reports_that_mean_ill_do_no_harm(work)
        ctl_strangers.others_reports_end_with_the_answer(work)
        ctl_waits.who_goes_on_answering_is_left()
        ctl_waits.places_share_the_time()
        many_and_slow_clients_are_served()
        sockets_come_and_go()
        what_killed_children_leave_is_removed()
        listener_of_the_program_is_left_alone()
        files_that_became_the_programs_are_not_written_to()
        ctl_strangers.others_are_refused(work)
        ctl_strangers.others_folders_are_left_alone()
        ctl_strangers.containers_are_named()


main()
