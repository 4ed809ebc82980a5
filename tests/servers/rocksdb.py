# SPDX-License-Identifier: LGPL-2.1-or-later
"""RocksDB inside a C program (rocksdb_load.c): filled, overwritten, read, compacted,
opened anew, scanned, and every record verified."""

import os

import subject

THREADS = 4
RECORDS = 30000


class Subject(subject.Worker):
    title = "rocksdb"
    program = "rocksdb_load"
    packages = "librocksdb-dev"

    def command(self):
        return [os.path.join(self.programs, self.program), self.path("data"), str(THREADS),
                str(self.work(RECORDS))]
