# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs with an allocator preloaded, each in a temporary folder of its own: how
they are started and waited for, what they have resident, and that nothing of them is
left, whatever happens.  For bench/redis_ratio and the subjects in tests/servers.
"""

import ctypes
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import paired
from paired import BASE, Failed

READY_SECONDS = 60   # on a busy machine; a server that is well takes one or two
END_SECONDS = 60
CLIENT_SECONDS = 240  # the longest that a client may be at work
POLL_SECONDS = 0.05  # between two looks whether something has come about
LAST_LINES = 8       # of a log, in a message


def die_with_parent():
    """In the child: no server is left over, however this script ends."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    """A port that nobody listens on now; a server says so if that changed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(done, seconds):
    """Whether `done()` became true within so many seconds."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_SECONDS)
    return True


def descendants(pid):
    """The process and all that came from it, as (pid, when it was started)."""
    children, started = {}, {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as stat:
                text = stat.read()
        except OSError:
            continue  # it has just ended
        number = int(text.split()[0])
        fields = text.rpartition(")")[2].split()  # the name before it may hold anything
        children.setdefault(int(fields[1]), []).append(number)
        started[number] = int(fields[19])
    found, todo = [], [pid] if pid in started else []
    while todo:
        number = todo.pop()
        found.append((number, started[number]))
        todo += children.get(number, [])
    return found


def alive(process):
    """Whether a process of `descendants` is still there, and no other of its number."""
    number, started = process
    try:
        with open(f"/proc/{number}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return False
    return int(fields[19]) == started and fields[0] not in "ZX"


class Hosted:
    """A program with an allocator preloaded, in a folder of its own.

    A subclass says what it is called (`title`), how it is started (`command`), whether
    it serves (`ready`) and how it is asked to end (`ask_to_end`).
    """

    title = "program"
    unprivileged = False  # it refuses to be root: if we are, it runs as nobody

    def __init__(self, allocator, library):
        self.allocator = allocator
        self.process = None
        self.folder = tempfile.mkdtemp(prefix=f"nearheap-{self.title}-")
        self.log = os.path.join(self.folder, "log")
        self.account = {}
        if self.unprivileged and os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        self.library = self.reachable(library)

    def reachable(self, library):
        """The library's path for the program's user, to whom a folder of ours may be
        closed: a copy of what does not lie where the system's libraries do."""
        if not self.account or os.path.dirname(library) in paired.library_folders():
            return library
        return shutil.copy(os.path.realpath(library), self.path("libraries", make=True))

    def path(self, *names, make=False):
        """A path in the folder; with `make`, that of a folder the program may write to."""
        path = os.path.join(self.folder, *names)
        if make and not os.path.isdir(path):
            os.mkdir(path)
            if self.account:
                os.chown(path, self.account["user"], self.account["group"])
        return path

    def failed(self, what):
        """The exception to raise: what happened, and the program's last words."""
        last = ""
        if os.path.exists(self.log):
            with open(self.log, errors="replace") as log:
                last = "; its log ends with:\n" + "".join(log.readlines()[-LAST_LINES:]).rstrip()
        return Failed(f"{self.title} under {self.allocator}: {what}{last}")

    # ---- Its life ----

    def environment(self):
        more = {}
        if self.allocator == BASE:
            more = {"NEARHEAP_STATS": self.path("stats.%p"), "NEARHEAP_STATS_FORMAT": "text"}
        return paired.environment(self.library, **more)

    def command(self):
        raise NotImplementedError

    def ready(self):
        """Whether it serves now.  May raise OSError instead of returning False."""
        raise NotImplementedError

    def ask_to_end(self):
        self.process.terminate()

    def start(self, cpu=None, **streams):
        """Starts the program, if need be on one CPU.  Its output goes to the log
        unless `streams` say otherwise."""
        def prepare():
            die_with_parent()
            if cpu is not None:
                os.sched_setaffinity(0, [cpu])

        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), env=self.environment(), cwd=self.folder, preexec_fn=prepare,
                **{"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **streams},
                **self.account)

    def wait_until_ready(self):
        def serves():
            if self.process.poll() is not None:
                raise self.failed(f"ended with status {self.process.returncode} at its start")
            try:
                return self.ready()
            except OSError:
                return False

        if not wait_until(serves, READY_SECONDS):
            raise self.failed(f"did not serve within {READY_SECONDS} s")
        self.check_mapped()

    def check_mapped(self):
        with open(f"/proc/{self.process.pid}/maps") as maps:
            if not any(line.split()[-1] == os.path.realpath(self.library) for line in maps):
                raise self.failed(f"{self.library} was not loaded")

    def check_running(self, during):
        if self.process.poll() is not None:
            raise self.failed(f"ended with status {self.process.returncode} during {during}")

    def statistics(self):
        """The path of what nearheap wrote at the end of the process last started."""
        return self.path(f"stats.{self.process.pid}")

    def stop(self):
        """An orderly end of all its processes, after which nearheap has told its
        statistics, which proves that it was in use to the end."""
        family = descendants(self.process.pid)
        self.ask_to_end()
        try:
            status = self.process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            raise self.failed(f"did not end within {END_SECONDS} s of being asked to") from None
        if status != 0:
            raise self.failed(f"ended with status {status}")
        if not wait_until(lambda: not any(map(alive, family)), END_SECONDS):
            raise self.failed(f"left {sum(map(alive, family))} processes behind")
        self.check_statistics()

    def check_statistics(self):
        if self.allocator == BASE:
            path = self.statistics()
            if not os.path.exists(path) or os.path.getsize(path) == 0:
                raise self.failed("nearheap wrote no statistics at its end")

    def remove(self):
        """Whatever happened before: no process and no file is left."""
        if self.process is not None and self.process.poll() is None:
            family = descendants(self.process.pid)
            for number, started in family:
                if alive((number, started)):
                    os.kill(number, signal.SIGKILL)
            self.process.wait()
            wait_until(lambda: not any(map(alive, family)), END_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- Its clients, and what it has ----

    def client(self, command, text=None, cpu=None, preloaded=False):
        """Runs a command to its end and returns what it printed: a client, on the
        system's allocator, or with `preloaded` a program that belongs to the server."""
        environment = {k: v for k, v in os.environ.items()
                       if k != "LD_PRELOAD" and not k.startswith("NEARHEAP_")}
        account = {}
        if preloaded:
            environment, account = self.environment(), self.account
        prepare = (lambda: os.sched_setaffinity(0, [cpu])) if cpu is not None else None
        name = os.path.basename(command[0])
        try:
            ran = subprocess.run(command, input=text, capture_output=True, text=True,
                                 errors="replace", env=environment, cwd=self.folder,
                                 preexec_fn=prepare, timeout=CLIENT_SECONDS, **account)
        except subprocess.TimeoutExpired:
            raise self.failed(f"{name} was not done within {CLIENT_SECONDS} s") from None
        if self.process is not None:
            self.check_running(name)
        if ran.returncode != 0:
            said = (ran.stderr.strip() or ran.stdout.strip() or "no output").splitlines()
            raise self.failed(f"{name} ended with status {ran.returncode}: {said[-1]}")
        return ran.stdout

    def resident(self):
        """Bytes that the process and all that came from it have in memory; what several
        share is counted once."""
        total = 0
        for number, _ in descendants(self.process.pid):
            try:
                with open(f"/proc/{number}/smaps_rollup") as rollup:
                    total += sum(int(line.split()[1]) * 1024 for line in rollup
                                 if line.startswith("Pss:"))
            except OSError:
                pass  # it has just ended
        return total
