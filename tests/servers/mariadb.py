# SPDX-License-Identifier: LGPL-2.1-or-later
"""MariaDB under sysbench: transactions on InnoDB by several clients, then a restart
after which tables have the same checksums."""

import os
import re

import subject

CLIENTS = 4
TABLES, TABLE_ROWS = 2, 5000
TRANSACTIONS = 2500
KEPT_ROWS = 4000
KEPT = """
    create table kept (id int primary key, name char(32), filler mediumtext) engine=InnoDB;
    insert into kept select seq, md5(seq), repeat(char(97 + seq % 26), seq % 2000)
        from seq_1_to_{rows};"""
VERIFIED = """
    select count(*), sum(name = md5(id)),
        sum(filler = repeat(char(97 + id % 26), id % 2000)) from kept;"""


class Subject(subject.Played):
    title = "mariadb"
    needs = ("mariadbd", "mariadb-install-db", "mariadb", "sysbench")
    packages = "mariadb-server sysbench"
    unprivileged = True

    def prepare(self):
        self.client(["mariadb-install-db", "--no-defaults", f"--datadir={self.path('data')}",
                     "--auth-root-authentication-method=normal", "--skip-test-db"],
                    preloaded=True)

    def command(self):
        return [self.binary(None), "--no-defaults", f"--datadir={self.path('data')}",
                f"--socket={self.path('socket')}", f"--pid-file={self.path('pid')}",
                "--skip-networking", "--innodb-buffer-pool-size=32M",
                "--innodb-log-file-size=16M", "--character-set-server=utf8mb4",
                "--innodb-flush-log-at-trx-commit=0"]

    def sql(self, text, database="work"):
        """What the statements print, lines of words."""
        printed = self.client(["mariadb", "--no-defaults", "-u", "root", "-N", "-B",
                               "--default-character-set=utf8mb4", "-S", self.path("socket"),
                               database], text=text)
        return [line.split() for line in printed.splitlines()]

    def ready(self):
        return os.path.exists(self.path("socket")) and os.path.exists(self.path("pid"))

    def tick(self):
        self.sql("select 1;")

    def sysbench(self, *options):
        return self.client(["sysbench", "oltp_read_write", "--db-driver=mysql",
                            f"--mysql-socket={self.path('socket')}", "--mysql-user=root",
                            "--mysql-db=work", f"--tables={TABLES}",
                            f"--table-size={TABLE_ROWS}", *options])

    def load(self):
        self.sql("create database work;", "mysql")
        self.sql(KEPT.format(rows=KEPT_ROWS))
        self.sysbench("prepare")
        # Rows may be deleted and inserted by two at once: such a transaction is repeated.
        printed = self.sysbench(f"--threads={CLIENTS}", f"--events={self.work(TRANSACTIONS)}",
                                "--time=0", "--percentile=99", "run")
        done = re.search(r"transactions: +(\d+) +\(([0-9.]+) per sec", printed)
        late = re.search(r"99th percentile: +([0-9.]+)", printed)
        self.check("transactions", done and int(done[1]), self.work(TRANSACTIONS))
        self.figure("transactions", float(done[2]), float(late[1]) / 1000)

    def tables(self):
        return ["kept"] + [f"sbtest{number + 1}" for number in range(TABLES)]

    def checksums(self):
        return self.sql(f"checksum table {', '.join(self.tables())};")

    def verify(self):
        before = self.checksums()
        self.restart()
        self.check("checksums after a restart", self.checksums(), before)
        self.check("rows kept", self.sql(VERIFIED), [[str(KEPT_ROWS)] * 3])
        for name in self.tables():
            self.check(f"check of {name}", self.sql(f"check table {name} extended;")[-1][-1], "OK")
        for name in self.tables()[1:]:
            self.check(f"rows of {name}", self.sql(f"select count(*) from {name};"),
                       [[str(TABLE_ROWS)]])
