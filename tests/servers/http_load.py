# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the subjects that speak HTTP share: ab's load, and single requests."""

import csv
import http.client
import os
import re

import hosted
import subject

CLIENTS = 16


class Served(subject.Played):
    """A server at a free port of 127.0.0.1."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.port = hosted.free_port()

    def get(self, path, **headers):
        """Status, body and headers of the answer to one request."""
        link = http.client.HTTPConnection("127.0.0.1", self.port,
                                          timeout=hosted.CLIENT_SECONDS)
        try:
            link.request("GET", path, headers=headers)
            answer = link.getresponse()
            return answer.status, answer.read(), answer.headers
        except http.client.HTTPException as broken:
            raise ConnectionError(f"GET {path}: {broken!r}") from broken
        finally:
            link.close()

    def ready(self):
        return self.get("/")[0] == 200

    def requests(self, what, path, count, *options):
        """So many requests, by some clients at a time; all must be answered alike."""
        times = self.path("times.csv")
        printed = self.client(["ab", "-q", "-k", "-n", str(count), "-c", str(CLIENTS), "-e", times,
                               *options, f"http://127.0.0.1:{self.port}{path}"])
        told = dict(re.findall(r"^([A-Z][A-Za-z0-9 -]+): +([0-9.]+)", printed, re.MULTILINE))
        self.check(f"{what}: complete requests", told.get("Complete requests"), str(count))
        self.check(f"{what}: failed requests", told.get("Failed requests"), "0")
        self.check(f"{what}: answers that are no success", told.get("Non-2xx responses"), None)
        with open(times, newline="") as file:
            percentiles = dict(row for row in csv.reader(file))
        os.remove(times)
        self.figure(what, float(told["Requests per second"]), float(percentiles["99"]) / 1000)
