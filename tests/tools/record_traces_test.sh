#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# record_traces_test.sh TOOLS BUILD: when its client fails, record_traces leaves no server and
# no part of a trace.
set -euo pipefail
tools=$(realpath "$1") build=$(realpath "$2")
work=$(mktemp -d)
export PID=$work/pid
mkdir "$work/fakes" "$work/out"
end() {
    [ ! -s "$PID" ] || kill -9 "$(cat "$PID")" 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT
fail() { echo "record_traces_test: $*" >&2; exit 1; }

cat >"$work/fakes/redis-server" <<'END'
#!/usr/bin/env python3
import os
import signal
import socket
import sys
with open(os.environ["PID"], "w", encoding="ascii") as file:
    file.write(str(os.getpid()))
one = socket.socket(socket.AF_UNIX)
one.bind(sys.argv[sys.argv.index("--unixsocket") + 1])
signal.pause()
END
printf '#!/bin/sh\necho no such server\nexit 1\n' >"$work/fakes/redis-benchmark"
chmod +x "$work"/fakes/*

status=0
PATH=$work/fakes:$PATH "$tools/record_traces" --no-install --build "$build" --out "$work/out" redis \
    >"$work/said" 2>&1 || status=$?
[ $status = 1 ] || fail "status $status, and said: $(cat "$work/said")"
grep -q 'record_traces: redis: no such server' "$work/said" || fail "said: $(cat "$work/said")"
[ -s "$PID" ] || fail "there was no server"
! kill -0 "$(cat "$PID")" 2>/dev/null || fail "the server is still there"
[ -z "$(ls "$work/out")" ] || fail "a part of a trace is left"
echo "record_traces_test: passed"
