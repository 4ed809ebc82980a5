# SPDX-License-Identifier: LGPL-2.1-or-later
"""redis with both kinds of persistence: children are forked that write everything to
disk while the parent goes on changing it."""

import random
import subprocess

import hosted
import redis_link
import subject

KEYS = 20000          # that stay as they are; a fifth of each type
VALUE_MOST = 1500     # bytes
BATCH = 1000          # commands sent at a time
LOAD_KEYS = 50000     # that redis-benchmark writes, over and over
LOAD_SIZE = 300       # bytes
REQUESTS = 60000      # of each test
TESTS = ["set", "get", "lpush", "hset", "zadd"]
CHILD_SECONDS = 120


def kept(number):
    """The command that makes a key, and the one that reads it back with its answer."""
    draw = random.Random(number)
    key = f"kept:{number}"
    value = bytes([97 + number % 26]) * draw.randint(1, VALUE_MOST)
    parts = [value[:1 + i * 7] + b"%d" % i for i in range(1 + number % 40)]
    if number % 5 == 0:
        pairs = [word for i, part in enumerate(parts) for word in (b"f%d" % i, part)]
        return ["HSET", key, *pairs], ["HMGET", key, *pairs[::2]], parts
    if number % 5 == 1:
        return ["RPUSH", key, *parts], ["LRANGE", key, 0, -1], parts
    if number % 5 == 2:
        pairs = [word for i, part in enumerate(parts) for word in (i, part)]
        return ["ZADD", key, *pairs], ["ZRANGE", key, 0, -1], parts
    return ["SET", key, value], ["GET", key], value


class Subject(subject.Played):
    title = "redis"
    needs = ("redis-server", "redis-benchmark")
    packages = "redis-server redis-tools"

    def command(self):
        return ["redis-server", "--port", "0", "--unixsocket", self.path("socket"),
                "--dir", self.folder, "--daemonize", "no", "--appendonly", "yes",
                "--save", "3600 1", "--auto-aof-rewrite-percentage", "0",
                "--enable-debug-command", "local"]

    def link(self):
        return redis_link.Link(self.path("socket"))

    def ask(self, *words):
        with self.link() as link:
            return link.ask(*words)

    def ready(self):
        try:
            return self.ask("PING") == b"PONG"
        except redis_link.Refused:
            return False  # it is reading its data

    def ask_to_end(self):
        try:
            self.ask("SHUTDOWN")
        except OSError:
            pass  # it ends without an answer

    def persistence(self):
        lines = self.ask("INFO", "persistence").decode().splitlines()
        return dict(line.split(":") for line in lines if ":" in line)

    def benchmark(self, *options):
        return ["redis-benchmark", "-s", self.path("socket"), "-r", str(LOAD_KEYS),
                "-d", str(LOAD_SIZE), "-P", "8", "-c", "20", "--csv", *options]

    def in_batches(self, commands):
        answers = []
        with self.link() as link:
            for first in range(0, len(commands), BATCH):
                answers += link.ask_all(commands[first:first + BATCH])
        return answers

    def writes(self):
        lines = self.ask("INFO", "commandstats").decode().splitlines()
        return next((line for line in lines if line.startswith("cmdstat_set:")), None)

    def wait_for_writes(self):
        before = self.writes()
        if not hosted.wait_until(lambda: self.writes() != before, CHILD_SECONDS):
            raise self.failed("its clients do not write")

    def child(self, command, busy, status):
        """A child writes everything to disk, and from before its fork until after its end
        clients change what the parent has."""
        writing = subprocess.Popen(self.benchmark("-t", "set", "-l"), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, preexec_fn=hosted.die_with_parent)
        try:
            self.wait_for_writes()
            self.ask(command)
            self.wait_for_writes()
            if not hosted.wait_until(lambda: self.persistence()[busy] == "0", CHILD_SECONDS):
                raise self.failed(f"{command} was not done within {CHILD_SECONDS} s")
            self.check("redis-benchmark's status beside a child", writing.poll(), None)
        finally:
            writing.kill()
            writing.wait()
        self.check(command, self.persistence()[status], "ok")

    def load(self):
        self.in_batches([kept(number)[0] for number in range(KEYS)])
        printed = self.client(self.benchmark("-t", ",".join(TESTS),
                                             "-n", str(self.work(REQUESTS))))
        for test, rate, p99 in redis_link.benchmark_rows(printed):
            self.figure(test.split()[0].lower(), rate, p99)
        self.child("BGSAVE", "rdb_bgsave_in_progress", "rdb_last_bgsave_status")
        self.child("BGREWRITEAOF", "aof_rewrite_in_progress", "aof_last_bgrewrite_status")
        told = self.persistence()
        self.memory["copied for BGSAVE"] = int(told["rdb_last_cow_size"])
        self.memory["copied for BGREWRITEAOF"] = int(told["aof_last_cow_size"])
        # Every other value goes, so that what stays lies scattered.
        self.ask("EVAL", "for i = 0, ARGV[1] - 1, 2 do "
                         "redis.call('DEL', string.format('key:%012d', i)) end",
                 0, LOAD_KEYS)

    def verify_kept(self):
        found = self.in_batches([kept(number)[1] for number in range(KEYS)])
        for number, answer in enumerate(found):
            self.check(f"kept:{number}", answer, kept(number)[2])

    def verify(self):
        self.verify_kept()
        digest, size = self.ask("DEBUG", "DIGEST"), self.ask("DBSIZE")
        self.restart()
        self.check("digest of all data after a restart", self.ask("DEBUG", "DIGEST"), digest)
        self.check("number of keys after a restart", self.ask("DBSIZE"), size)
        self.verify_kept()
