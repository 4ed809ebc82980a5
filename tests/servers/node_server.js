// SPDX-License-Identifier: LGPL-2.1-or-later
//
// node_server.js PORT: the server of node.py.  /work/N makes objects, text, buffers and a
// compressed copy from the number N, in the event loop and in libuv's threads, and answers
// with a digest that only the right contents have; /thread/N does so in a worker thread.
"use strict";

const crypto = require("crypto");
const http = require("http");
const zlib = require("zlib");
const { Worker, isMainThread, parentPort, workerData } = require("worker_threads");

const RECORDS = 200;

// What node.py makes, too.
function text(number) {
    const records = [];
    for (let i = 0; i < RECORDS; i++)
        records.push({ id: i, name: `record ${i * number % 9973}`, tags: ["x".repeat(i % 50)] });
    return JSON.stringify(records);
}

function digest(number, done) {
    const plain = Buffer.from(text(number));
    zlib.deflate(plain, (failed, small) => {
        if (failed)
            throw failed;
        zlib.inflate(small, (broken, again) => {
            if (broken)
                throw broken;
            JSON.parse(again.toString());
            done(crypto.createHash("sha256").update(again).digest("hex"));
        });
    });
}

if (!isMainThread) {
    digest(workerData, (answer) => parentPort.postMessage(answer));
} else {
    const server = http.createServer((request, response) => {
        const [, kind, number] = request.url.split("/");
        if (kind === "work") {
            digest(Number(number), (answer) => response.end(answer));
        } else if (kind === "thread") {
            const worker = new Worker(__filename, { workerData: Number(number) });
            worker.on("message", (answer) => response.end(answer));
            worker.on("error", (failed) => { throw failed; });
        } else {
            response.end("here");
        }
    });
    server.listen(Number(process.argv[2]), "127.0.0.1");
    process.on("SIGTERM", () => {
        server.close(() => process.exit(0));
        server.closeAllConnections();
    });
}
