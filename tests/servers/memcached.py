# SPDX-License-Identifier: LGPL-2.1-or-later
"""memcached with four threads, filled beyond what it may keep, under a client
(memcached_load.c) that verifies every value."""

import json
import os
import socket

import subject

THREADS = 4
CLIENTS = 8
OPERATIONS = 120000
MEMORY_MIB = 24  # less than the clients set, so that items are evicted


class Subject(subject.Played):
    title = "memcached"
    needs = ("memcached",)
    packages = "memcached"
    unprivileged = True
    version = ("-V",)

    def command(self):
        return ["memcached", "-s", self.path("socket"), "-t", str(THREADS), "-m", str(MEMORY_MIB)]

    def ask(self, command, last):
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(subject.hosted.CLIENT_SECONDS)
            link.connect(self.path("socket"))
            link.sendall(command + b"\r\n")
            answer = b""
            while not answer.endswith(last + b"\r\n"):
                more = link.recv(1 << 16)
                if not more:
                    raise ConnectionError("the connection was closed")
                answer += more
            return answer

    def ready(self):
        return self.ask(b"mn", b"MN") == b"MN\r\n"

    def counters(self):
        lines = self.ask(b"stats", b"END").decode().splitlines()
        return {words[1]: words[2] for words in map(str.split, lines) if len(words) == 3}

    def load(self):
        printed = self.client([os.path.join(self.programs, "memcached_load"), self.path("socket"),
                               str(CLIENTS), str(self.work(OPERATIONS))])
        for what, figure in json.loads(printed).items():
            self.figure(what, figure["rate"], figure["p99"])

    def verify(self):
        """The values are; this is about whether it had to forget some, as it should."""
        told = self.counters()
        self.check("threads", int(told["threads"]), THREADS)
        self.check("items were evicted", int(told["evictions"]) > 0, True)
