# SPDX-License-Identifier: LGPL-2.1-or-later
"""nginx with two workers: files as they are and compressed, and through a proxy of
itself; its configuration is read anew, by new workers, in between."""

import gzip
import os
import random
import signal

import hosted
import http_load

REQUESTS = 12000
FILES = {"small": 900, "page": 30000, "large": 1500000}  # bytes
CONFIGURATION = """
daemon off; worker_processes 2; pid {folder}/pid; error_log stderr;
events {{ worker_connections 512; }}
http {{
    access_log off; default_type text/plain;
    client_body_temp_path {folder}/temporary; proxy_temp_path {folder}/temporary;
    fastcgi_temp_path {folder}/temporary; uwsgi_temp_path {folder}/temporary;
    scgi_temp_path {folder}/temporary;
    gzip on; gzip_types text/plain; gzip_comp_level 5; gzip_http_version 1.0; gzip_proxied any;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/files;
        location = / {{ return 200 here; }}
        location /proxy/ {{ proxy_pass http://127.0.0.1:{port}/; proxy_buffers 16 8k; }}
    }}
}}
"""


def text(name):
    """Words, so that they can be compressed, but not to nothing."""
    draw = random.Random(name)
    words = [f"{draw.getrandbits(30):x}" for _ in range(500)]
    made = " ".join(draw.choice(words) for _ in range(FILES[name] // 8 + 1))
    return made[:FILES[name]].encode()


class Subject(http_load.Served):
    title = "nginx"
    needs = ("nginx", "ab")
    packages = "nginx-light apache2-utils"
    unprivileged = True
    several = True
    version = ("-v",)

    def prepare(self):
        self.path("temporary", make=True)
        files = self.path("files", make=True)
        for name in FILES:
            with open(os.path.join(files, name), "wb") as file:
                file.write(text(name))
        with open(self.path("nginx.conf"), "w") as file:
            file.write(CONFIGURATION.format(folder=self.folder, port=self.port))

    def command(self):
        return [self.binary(None), "-c", self.path("nginx.conf"), "-e", "stderr", "-p", self.folder]

    def ask_to_end(self):
        self.process.send_signal(signal.SIGQUIT)

    def workers(self):
        return set(hosted.descendants(self.process.pid)[1:])

    def reload(self):
        before = self.workers()
        self.process.send_signal(signal.SIGHUP)

        def all_new():
            now = self.workers()
            return len(now) == len(before) and not now & before

        if not hosted.wait_until(all_new, hosted.READY_SECONDS):
            raise self.failed("there are no new workers after SIGHUP")

    def load(self):
        count = self.work(REQUESTS)
        compressed = ("-H", "Accept-Encoding: gzip")
        self.requests("small", "/small", count)
        self.requests("compressed", "/page", max(1, count // 4), *compressed)
        self.reload()
        self.requests("proxied", "/proxy/page", max(1, count // 4))
        self.requests("large, compressed", "/large", max(1, count // 200), *compressed)

    def verify(self):
        for name in FILES:
            for path in (f"/{name}", f"/proxy/{name}"):
                for encoding in ("identity", "gzip"):
                    status, body, headers = self.get(path, **{"Accept-Encoding": encoding})
                    self.check(f"status of {path}", status, 200)
                    if headers.get("Content-Encoding") == "gzip":
                        body = gzip.decompress(body)
                    elif encoding == "gzip":
                        raise self.failed(f"{path} is not compressed")
                    self.check(f"{path}, {encoding}", body, text(name))
