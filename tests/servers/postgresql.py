# SPDX-License-Identifier: LGPL-2.1-or-later
"""PostgreSQL: its own benchmark's transactions, queries by parallel workers, and a
restart after which every sum is as before."""

import glob
import json
import os
import shutil
import signal

import hosted
import subject

CLIENTS = 4
TELLERS = 2         # pgbench's scale: 100,000 accounts each
TRANSACTIONS = 800  # by each client
SELECTS = 3000
ROWS = 200000       # of the table that parallel workers read
SUMS = """
    select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)
       and (select sum(tbalance) from pgbench_tellers) = (select sum(delta) from pgbench_history)
       and (select sum(bbalance) from pgbench_branches) = (select sum(delta) from pgbench_history)
       and (select count(*) from pgbench_history) = {};"""
WIDE = """
    create table wide as select i, i % 1000 as part, md5(i::text) as name,
        repeat(chr(97 + i % 26), i % 200) as filler from generate_series(1, {rows}) i;
    create index on wide (name);
    analyze wide;"""
# Hashes, sorts and texts: what workers need memory for.
QUERY = """
    select md5(string_agg(line, ',' order by line)) from (
        select part || ':' || count(distinct name) || ':' || sum(length(filler)) || ':' || max(name)
            as line from wide group by part) parts"""
COUNT = "select count(*), sum(length(filler)), max(name) from wide"
PARALLEL = """
    set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0;
    set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0;"""
ALONE = "set max_parallel_workers_per_gather = 0;"


def folder():
    """Where Debian keeps the server's programs, those of the newest release."""
    found = glob.glob("/usr/lib/postgresql/*/bin/postgres")
    newest = max(found, key=lambda path: int(path.split("/")[4].split(".")[0]), default="")
    return os.path.dirname(newest or shutil.which("postgres") or "")


class Subject(subject.Played):
    title = "postgresql"
    needs = ("postgres", "initdb", "psql", "pgbench")
    packages = "postgresql"
    unprivileged = True
    several = True

    @classmethod
    def check_here(cls, programs):
        for name in cls.needs:
            cls.program(name)

    @classmethod
    def program(cls, name):
        found = shutil.which(name, path=f"{folder()}:{os.environ.get('PATH', '')}")
        if found is None:
            raise subject.NotHere(f"{name} is not installed (Debian: {cls.packages})")
        return found

    @classmethod
    def binary(cls, programs):
        return cls.program("postgres")

    def prepare(self):
        self.client([self.program("initdb"), "-D", self.path("data"), "-U", "tester", "-A", "trust",
                     "-E", "UTF8", "--locale", "C", "--no-sync"], preloaded=True)

    def command(self):
        settings = {"listen_addresses": "", "unix_socket_directories": self.folder,
                    "dynamic_shared_memory_type": "mmap", "fsync": "off",
                    "shared_buffers": "32MB", "work_mem": "8MB", "max_worker_processes": "8"}
        return [self.program("postgres"), "-D", self.path("data"),
                *(f"--{name}={value}" for name, value in settings.items())]

    def psql(self, *statements):
        """The lines that the statements print."""
        return self.client([self.program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
                            "-h", self.folder, "-U", "tester", "-d", "postgres"],
                           text="\n".join(statements) + "\n").splitlines()

    def pgbench(self, *options):
        return self.client([self.program("pgbench"), "-h", self.folder, "-U", "tester",
                            *options, "postgres"])

    def ready(self):
        with open(self.path("data", "postmaster.pid")) as told:
            lines = told.read().splitlines()  # none when it was made just now
            return bool(lines) and lines[-1].strip() == "ready"

    def tick(self):
        self.psql("select 1;")

    def ask_to_end(self):
        self.process.send_signal(signal.SIGINT)  # ends sessions, writes everything

    def remove(self):
        """Also after a failure it takes its piece of shared memory away itself: at once,
        without an orderly end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            hosted.wait_until(lambda: self.process.poll() is not None, hosted.END_SECONDS)
        super().remove()

    def transactions(self, what, count, *options):
        self.pgbench("-n", "-c", str(CLIENTS), "-j", "2", "-t", str(count), "-l", "--log-prefix",
                     self.path(what), *options)
        begun, took = [], []
        for path in glob.glob(self.path(f"{what}.*")):
            with open(path) as file:
                for line in file:
                    words = line.split()
                    took.append(int(words[2]) / 1e6)
                    begun.append(int(words[4]) + int(words[5]) / 1e6 - took[-1])
            os.remove(path)
        self.check(f"{what}: transactions", len(took), count * CLIENTS)
        seconds = max(b + t for b, t in zip(begun, took)) - min(begun)
        self.figure(what, len(took) / seconds, sorted(took)[(len(took) - 1) * 99 // 100])

    def load(self):
        self.pgbench("-i", "-q", "-s", str(TELLERS))
        self.transactions("transactions", self.work(TRANSACTIONS))
        self.transactions("selects", self.work(SELECTS), "-S")
        self.psql(WIDE.format(rows=self.work(ROWS)))
        self.parallel()

    def parallel(self):
        plan = json.loads("".join(self.psql(PARALLEL, f"explain (analyze, format json) {COUNT};")))
        self.check("parallel workers began", "'Workers Launched': 2" in str(plan), True)
        self.figure("parallel scan", 1000 / plan[0]["Execution Time"], None)
        self.check("counts by parallel workers", self.psql(PARALLEL, COUNT + ";"),
                   self.psql(ALONE, COUNT + ";"))

    def verify(self):
        done = self.work(TRANSACTIONS) * CLIENTS
        self.check("pgbench's sums", self.psql(SUMS.format(done)), ["t"])
        wide = self.psql(PARALLEL, QUERY + ";")
        self.restart()
        self.check("pgbench's sums after a restart", self.psql(SUMS.format(done)), ["t"])
        self.check("digest after a restart", self.psql(ALONE, QUERY + ";"), wide)
