# SPDX-License-Identifier: LGPL-2.1-or-later
"""SQLite inside a C program (sqlite_load.c): threads with a connection each write to one
database file and query it; balances, notes and SQLite's own check are verified."""

import os

import subject

THREADS = 4
TRANSACTIONS = 12000


class Subject(subject.Worker):
    title = "sqlite"
    program = "sqlite_load"
    packages = "libsqlite3-dev"

    def command(self):
        return [os.path.join(self.programs, self.program), self.folder, str(THREADS),
                str(self.work(TRANSACTIONS))]
