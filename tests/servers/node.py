# SPDX-License-Identifier: LGPL-2.1-or-later
"""node: a server in JavaScript (node_server.js) whose objects, buffers, compression and
worker threads use malloc beside V8's own heap."""

import hashlib
import json
import os

import http_load

REQUESTS = 1500
THREADS = 60  # requests that begin a thread each
RECORDS = 200
CHECKED = range(1, 60)


def digest(number):
    """What the server answers; see text() there."""
    records = [{"id": i, "name": f"record {i * number % 9973}", "tags": ["x" * (i % 50)]}
               for i in range(RECORDS)]
    return hashlib.sha256(json.dumps(records, separators=(",", ":")).encode()).hexdigest()


class Subject(http_load.Served):
    title = "node"
    needs = ("node", "ab")
    packages = "nodejs apache2-utils"

    def command(self):
        server = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node_server.js")
        return ["node", server, str(self.port)]

    def load(self):
        self.requests("work", "/work/7", self.work(REQUESTS))
        self.requests("threads", "/thread/7", self.work(THREADS))

    def verify(self):
        for number in CHECKED:
            status, body, _ = self.get(f"/work/{number}")
            self.check("status", status, 200)
            self.check(f"digest {number}", body.decode(), digest(number))
        self.check("digest by a thread", self.get("/thread/5")[1].decode(), digest(5))
