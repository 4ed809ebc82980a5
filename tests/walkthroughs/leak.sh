#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# leak.sh BUILD: a server's memory grows; with nearheap(7) and the tools alone a reader
# finds the line that leaks, and sees that it is mended.  tools/docs/operating.md tells the
# same steps.
set -euo pipefail
build=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
run=$build/tools/nearheap-run
profile=$here/../../tools/nearheap-profile
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
unset LD_PRELOAD "${!NEARHEAP_@}"

fail() { echo "leak.sh: $*" >&2; exit 1; }
requests=20000

# The server at work; it answers when it has served.
cc -g -O0 -fno-builtin -o server "$here/leak.c"
start() { # OPTION...
    coproc server { exec "$run" --quiet "$@" -- ./server; }
    # shellcheck disable=SC2154 # coproc sets it
    to=${server[1]} from=${server[0]} pid=$server_PID
}
serve() {
    echo "$1" >&"$to"
    read -r _ <&"$from"
}
stop() {
    exec {to}>&-
    wait "$pid"
}

# 1. Is it the program that holds the memory?  live_bytes of twice the requests is twice as
#    much.
live() {
    sed -n 's/.*"live_bytes": \([0-9]*\).*/\1/p' "$1"
}
for times in 1 2; do
    start --stats "stats.$times" --stats-format json
    serve $((times * requests))
    stop
done
echo "held after $requests and $((2 * requests)) requests: $(live stats.1) and $(live stats.2) bytes"
[ "$(live stats.2)" -gt $(($(live stats.1) * 18 / 10)) ] || fail "live_bytes does not tell"

# 2. Of what size?  The longest line of what is held at exit.
start --leaks leaks
serve $requests
stop
cat leaks
largest=$(sed -nE 's/^nearheap: +([0-9]+) of ([0-9]+) bytes, ([0-9]+) bytes/\3 \1 \2/p' leaks | sort -n | tail -n 1)
read -r _ objects size <<<"$largest"
[ "$objects" = $((requests / 8)) ] || fail "$objects objects are said to be held, of $size bytes"

# 3. Who allocates them?  Two profiles of the running server, and what came in between.
start --profile-file profile --profile-rate 4k --profile-signal 12
snapshot() { # when the server answers again, the handler of the signal has run
    kill -12 "$pid"
    serve 0
    mv profile "$1"
}
serve $requests
snapshot earlier
serve $requests
snapshot later
stop
"$profile" held --since earlier later | tee held
# The second line is the first site: more than nine tenths of what is held.
sed -n 2p held | grep -q '  open_session (.*leak\.c:[0-9]*) < serve' || fail "the site was not found"
"$profile" held --json --since earlier later | python3 -c '
import json, sys
rows = json.load(sys.stdin)["holders"]
sys.exit(rows[0]["bytes"] < 9 * sum(row["bytes"] for row in rows[1:]))' || fail "the site does not stand out"

# 4. serve() closes the session but where it is cancelled.  Mended: nothing of that size is
#    held.
cc -g -O0 -fno-builtin -DCLOSE_CANCELLED -o server "$here/leak.c"
start --leaks leaks
serve $requests
stop
if grep -E "^nearheap: +[0-9]+ of $size bytes" leaks; then fail "they are still held"; fi
echo "leak: found and mended"
