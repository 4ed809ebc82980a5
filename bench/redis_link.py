# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is needed of a client of redis, and of redis-benchmark's output."""

import csv
import socket

from paired import Failed

ANSWER_SECONDS = 120


class Refused(Failed):
    """The server's answer was an error."""


class Link:
    """A connection to a redis-server at a Unix socket's path or (host, port)."""

    def __init__(self, address):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self.socket.settimeout(ANSWER_SECONDS)
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        self.answers = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.answers.close()
        self.socket.close()

    @staticmethod
    def packed(words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)

    def ask(self, *words):
        """The answer to one command: bytes, a number, a list, None."""
        return self.ask_all([words])[0]

    def ask_all(self, commands):
        """Sends all commands and then reads their answers."""
        self.socket.sendall(b"".join(map(self.packed, commands)))
        return [self.read() for _ in commands]

    def read(self):
        line = self.answers.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the connection was closed")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            raise Refused(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.answers.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
        raise ConnectionError(f"not an answer of redis: {line!r}")


def benchmark_rows(printed):
    """From the output of redis-benchmark --csv: of each test its name, requests per
    second, and the 99th percentile of their latency in seconds."""
    table = list(csv.reader(printed.splitlines()))
    heads = [number for number, row in enumerate(table) if row[:2] == ["test", "rps"]]
    if not heads or len(table) == heads[-1] + 1:
        raise Failed("redis-benchmark's output is not understood: redis 6.2 or later is needed")
    made = [dict(zip(table[heads[0]], row)) for row in table if row[:2] != ["test", "rps"]]
    return [(row["test"], float(row["rps"]), float(row["p99_latency_ms"]) / 1000) for row in made]
