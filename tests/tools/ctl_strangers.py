# SPDX-License-Identifier: LGPL-2.1-or-later
"""ctl_strangers.py: who means ill, and who is another user, for ctl_test.py: processes that
answer nearheap-ctl, clients, folders that are not what they seem."""

import mmap
import os
import pty
import shutil
import socket
import subprocess
import sys
import threading

from ctl_asked import (BUILD, CTL, PROGRAM, Program, ctl, equal, fail, fill, folder, leave,
                       listen_in, socket_of)

NOBODY, OTHER = 65534, 65533
BACKLOG = 32
# Those who have no folder, and are not met by a test that runs at the same time.
NEWCOMER = 60000 + os.getpid() % 5000
RESIDENT = 50000 + os.getpid() % 5000

# Not where sanitizers are, before which nothing can be preloaded.
LATE_BLOCKS = os.path.join(BUILD, "tests", "liblate_blocks.so")

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
listener.bind(path + ".new")
os.seteuid(int(sys.argv[2]))
listener.listen()
os.seteuid(0)
os.rename(path + ".new", path)
print("ready", flush=True)
while True:
    client, _ = listener.accept()
    if client.recv(4096):  # else who starts beside us looks whether anybody is here
        client.sendall(b"ok\\n")
    client.close()"""

# Writes a report, with the rights of that user, which it takes before it listens or after;
# then tries to go on writing when it is told to.
REPORTER = """import mmap, os, socket, sys
folder, user, takes, does = sys.argv[1:]
def take(when):
    if takes == when:
        os.setuid(int(user))
with socket.socket(socket.AF_UNIX) as listener:
    path = os.path.join(folder, f"{os.getpid()}.sock")
    take("before")
    listener.bind(path + ".new")
    listener.listen()
    os.rename(path + ".new", path)
    take("after")
    print("ready", flush=True)
    files = []
    while not files:
        client, _ = listener.accept()
        _, files, _, _ = socket.recv_fds(client, 4096, 1)
    os.write(files[0], b"-" * mmap.PAGESIZE)
    if does == "maps":
        kept = mmap.mmap(files[0], mmap.PAGESIZE)
    client.sendall(b"ok\\n")
    client.close()
    sys.stdin.readline()
    try:
        os.write(files[0], b"more")
        print("went on")
    except PermissionError:
        print("could not go on")"""


# ---- Those who answer ----

def accept_command(listener):
    """A client, and its command with the descriptors that came along; not one that only looks
    whether somebody listens, as every process does that is about to share its own socket."""
    while True:
        client, _ = listener.accept()
        command, files, _, _ = socket.recv_fds(client, 4096, 1)
        if command:
            return client, files
        client.close()


def answers_that_mean_ill_do_no_harm():
    """This process answers, as one that is not what it seems to be."""
    cases = (
        (("get",), b"ok\nNEARHEAP_X live \x1b[2J\x07\xff\n", 0,
         "NEARHEAP_X live   ?[2J??\n"),
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
    listener = listen_in(folder(os.geteuid()), BACKLOG)
    try:
        for words, data, status, expected in cases:
            def answer():
                client, _ = accept_command(listener)
                with client:
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
        leave(folder(os.geteuid()))
        listener.close()


def reports_that_mean_ill_do_no_harm(work):
    """This process is sent what to write a report to, and does with it what it can."""
    kept, output = [], os.path.join(work, "output")

    def write(data):
        return lambda fd: os.write(fd, data)

    def map_it(fd):
        os.write(fd, bytes(mmap.PAGESIZE))
        kept.append(mmap.mmap(fd, mmap.PAGESIZE))

    def write_with_hole(fd):
        os.write(fd, raw)
        os.ftruncate(fd, 1 << 33)

    def spoil_output(fd):
        os.ftruncate(fd, 0)
        os.write(fd, b"report\n")
        os.lseek(fd, 3, os.SEEK_SET)

    raw = b"a\x1b[2J\x07\x00\t\xff\xc3\xa9\nb\n"
    printable = b"a?[2J??????\nb\n"
    listener = listen_in(folder(os.geteuid()), BACKLOG)

    def ask(words, act, says=b"ok\n", **more):
        """What nearheap-ctl does when the process does that, and the file it sent."""
        held = []

        def answer():
            client, files = accept_command(listener)
            with client:
                held.extend(files)
                act(files[0])
                client.sendall(says)
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
        for command in ("stats", "dump"):
            expect(f"{command}, printed", (command,), write(raw), 0, printable)
        expect("a profile", ("profile", "write"), write(raw), 0, raw)
        long = b"x" * 200000 + b"\x1b"
        expect("a long report", ("stats",), write(long), 0, long[:-1] + b"?")
        for where in "/dev/null", output:  # memory, a file
            expect(f"nothing but holes, to {where}", ("stats", "-o", where),
                   lambda fd: os.ftruncate(fd, 1 << 33), 1, b"", b"as it should")
            expect(f"holes at the end, to {where}", ("stats", "-o", where), write_with_hole, 1, b"",
                   b"as it should")
            expect(f"nothing, to {where}", ("stats", "-o", where), lambda fd: None, 0, b"")
        if os.path.exists(LATE_BLOCKS):
            done, fd = ask(("stats", "-o", output), write(long),
                           env={**os.environ, "LD_PRELOAD": LATE_BLOCKS})
            os.close(fd)
            equal("where blocks are counted late", (done.returncode, done.stderr), (0, b""))
            equal("its length", os.path.getsize(output), len(long))
        expect("memory that is mapped", ("stats",), map_it, 0, b"?" * mmap.PAGESIZE)

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
                # A disk's, not memory that counts as the process's; and nobody else's.
                sent = os.fstat(fd)
                equal("its disk", sent.st_dev, os.fstat(file.fileno()).st_dev)
                equal("its names", sent.st_nlink, 0)
            os.close(fd)

        # Where no report comes, the one of before stays; else nothing of it does.
        with open(output, "wb") as file:
            file.write(b"before")
        for act, says in ((write(raw), b"error errno 16\n"), (write(raw), b""),
                          (write_with_hole, b"ok\n")):
            done, fd = ask(("stats", "-o", output), act, says)
            os.close(fd)
            with open(output, "rb") as file:
                equal("instead of a report", (done.returncode, file.read()), (1, b"before"))
        done, fd = ask(("stats", "-o", output), write(b"now\n"))
        os.close(fd)
        with open(output, "rb") as file:
            equal("the next", (done.returncode, file.read()), (0, b"now\n"))
        done, fd = ask(("stats", "-o", "/dev/stdout"), write(raw))
        os.close(fd)
        equal("to a pipe by name", (done.returncode, done.stdout), (0, printable))

        # A terminal is sent no bytes of a profile.
        terminal, end = pty.openpty()
        done = subprocess.run([CTL, str(os.getpid()), "profile", "write"], stdout=end,
                              stderr=subprocess.PIPE, check=False)
        os.close(terminal)
        os.close(end)
        equal("a profile on a terminal", (done.returncode, b"--output" in done.stderr), (2, True))
    finally:
        leave(folder(os.geteuid()))
        listener.close()


def others_reports_end_with_the_answer(work):
    """One who has not our rights is sent no file of a disk, and cannot write to what it was sent
    once it is read; where we are root, and can be others."""
    if os.geteuid() != 0:
        return
    output = os.path.join(work, "others")
    os.makedirs(folder(0), mode=0o700, exist_ok=True)
    os.mkdir(folder(RESIDENT), mode=0o700)
    os.chown(folder(RESIDENT), RESIDENT, RESIDENT)

    def ask(where, takes, does, *words):
        """What nearheap-ctl does, and whether the process could go on."""
        with subprocess.Popen([sys.executable, "-c", REPORTER, where, str(RESIDENT), takes, does],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as asked:
            equal("who reports", asked.stdout.readline(), "ready\n")
            done = subprocess.run([CTL, str(asked.pid), "stats", *words], text=True,
                                  capture_output=True, check=False)
            os.unlink(os.path.join(where, f"{asked.pid}.sock"))
            return done, asked.communicate("\n")[0]
    try:
        for where, takes in ((folder(RESIDENT), "before"), (folder(0), "after")):
            equal(f"rights taken {takes}, to a file",
                  ask(where, takes, "writes", "-o", output)[1], "could not go on\n")
            with open(output, encoding="ascii") as file:
                equal("its report", file.read(), "-" * mmap.PAGESIZE)
            done, later = ask(where, takes, "writes")
            equal(f"rights taken {takes}, to a pipe", (done.stdout, later),
                  ("-" * mmap.PAGESIZE, "could not go on\n"))
        done, _ = ask(folder(RESIDENT), "before", "maps", "-o", output)
        equal("a report that is mapped", (done.returncode, "as it should" in done.stderr),
              (1, True))
    finally:
        shutil.rmtree(folder(RESIDENT))


# ---- Others ----

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
    try:
        with Program(user=RESIDENT, program=program_path, LD_LIBRARY_PATH=work) as program:
            path = socket_of(program.pid, RESIDENT)
            equal("its mode", os.stat(path).st_mode & 0o777, 0o600)
            equal("its folder's", os.stat(folder(RESIDENT)).st_mode & 0o777, 0o700)
            ctl(program.pid, "get")  # root may
            equal("its dump's end", ctl(program.pid, "dump").splitlines()[-1].split()[0], "end")

            def as_user(uid, pid=program.pid):
                return subprocess.run([ctl_path, str(pid), "get"], user=uid,
                                      capture_output=True, text=True, check=False)
            # Where root's folder is there, and closed.
            os.makedirs(folder(0), mode=0o700, exist_ok=True)
            with subprocess.Popen(["cat"], stdin=subprocess.PIPE, user=RESIDENT) as silent:
                refused = as_user(RESIDENT, silent.pid)
                silent.stdin.close()
            equal("one who shares nothing",
                  (refused.returncode, "NEARHEAP_SHARE=1" in refused.stderr), (1, True))
            equal("its user", as_user(RESIDENT).returncode, 0)
            refused = as_user(OTHER)
            equal("another", (refused.returncode, "Permission denied" in refused.stderr), (1, True))
            # Were the folder open, nearheap-ctl would not go there, and the process itself would
            # look who it is.
            os.chmod(folder(RESIDENT), 0o755)
            os.chmod(path, 0o666)
            refused = as_user(OTHER)
            client = subprocess.run([sys.executable, "-c", CLIENT, path, str(OTHER)], text=True,
                                    capture_output=True, check=True)
            os.chmod(folder(RESIDENT), 0o700)
            equal("another, where it is open", (refused.returncode, "alone" in refused.stderr),
                  (1, True))
            equal("another, by the process", client.stdout,
                  "error the process is another user's\n")
    finally:
        shutil.rmtree(folder(RESIDENT), ignore_errors=True)


def others_folders_are_left_alone():
    """A stranger's, of another user's name; and a socket that another than the folder's user
    listens at, as whose number is the process's by now may have left it."""
    if os.geteuid() != 0:
        return
    strangers = folder(NEWCOMER)
    os.mkdir(strangers)
    os.chown(strangers, NOBODY, NOBODY)
    waiting = []
    try:
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE, user=NEWCOMER) as asked, \
                socket.socket(socket.AF_UNIX) as listener:
            path = socket_of(asked.pid, NEWCOMER)
            listener.bind(path)
            listener.listen(0)
            waiting = fill(path)
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
            os.unlink(socket_of(impostor.pid))
            impostor.kill()


def containers_are_named():
    """Of which this is all that there is to be seen; where we are root, and may make some."""
    shm = "mount -t tmpfs none /dev/shm && echo ready && exec cat"
    for made in (["--pid", "--fork", "sh", "-c", "echo ready && exec cat"],
                 ["--mount", "sh", "-c", shm]):
        command = ["unshare", *made]
        if os.geteuid() != 0 or subprocess.run(command, stdin=subprocess.DEVNULL, check=False,
                                               capture_output=True).returncode != 0:
            continue
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as outer:
            equal("a container", outer.stdout.readline(), "ready\n")
            pid = outer.pid
            if "--fork" in made:
                with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
                    pid = int(children.read().split()[0])
            if "runs in a container" not in ctl(pid, "get", status=1):
                fail("a container is not named")
            outer.stdin.close()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as here:
        if "NEARHEAP_SHARE=1" not in ctl(here.pid, "get", status=1):
            fail("a process that is in no container is said to be in one")
        here.stdin.close()
