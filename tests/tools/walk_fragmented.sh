#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# walk_fragmented.sh BUILD [FOLDER]: how a fragmented heap is found and mended with
# nearheap-map and nearheap-ctl alone, as tools/README.md tells; a walk-through that prints its
# steps, and a test that fails where they do not help.
#
# The "server" (fragmented.c) was started with a profile for latency, so nothing goes back to
# the system; it has allocated 122 MiB on its last node and freed all but one object in a
# hundred.  The script knows nothing of that but what the tools say.  With FOLDER the pages
# before and after stay there.
set -euo pipefail
build=$(realpath "$1")
tools=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../tools")
work=$(mktemp -d)
kept=${2:-$work}
server=
end() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT

step() { printf '\n--- %s\n' "$*"; }
fail() { echo "walk_fragmented: $*" >&2; exit 1; }
# shown COMMAND...: runs it, and prints it before what it prints.
shown() {
    echo "\$ $*"
    "$@"
}
nearheap-map() { PATH=$build/tools:$PATH "$tools/nearheap-map" "$@"; }
nearheap-ctl() { "$build/tools/nearheap-ctl" "$@"; }
# map_says PYTHON: a value of the map's JSON, `nodes` by number.
map_says() {
    nearheap-map "$server" --json | python3 -c "
import json, sys
told = json.load(sys.stdin)
nodes = {node['node']: node for node in told['nodes']}
print($1)"
}
resident() { awk '/^VmRSS:/ { print $2 }' "/proc/$server/status"; }
order() {
    echo "$1" >&"${SERVER[1]}"
    answer=
    read -r answer <&"${SERVER[0]}" || true
    [ "$answer" = "done" ] || fail "the server does not answer"
}

step "1. A server runs, with a thread that can be asked (NEARHEAP_SHARE=1)"
export NEARHEAP_TOPOLOGY="synthetic:numa:2 core:2 pu:1"
coproc SERVER { exec "$build/tools/nearheap-run" --quiet --profile latency --share 1 -- \
    "$build/tests/fragmented"; }
server=$SERVER_PID
answer=
read -r answer <&"${SERVER[0]}" || true
[ "$answer" = ready ] || fail "the server does not begin"
deadline=$((SECONDS + 60))
until nearheap-ctl "$server" get >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || fail "the server cannot be asked"
done
first=$(resident)
echo "process $server, $first KiB resident"

step "2. Where is it? The map as text, and as a page"
shown nearheap-map "$server"
shown nearheap-map "$server" -o "$kept/before.html"
grep -q '<canvas\|createElement("canvas")' "$kept/before.html" || fail "there is no page"

step "3. What is it? The node with most memory beside what the program holds"
node=$(map_says 'max(nodes, key=lambda n: nodes[n]["free"] + nodes[n]["in_spans"])')
bytes=$(map_says "nodes[$node]['classes'][0]['object_bytes']")
fill=$(map_says "round(100 * nodes[$node]['classes'][0]['fill'])")
echo "node $node: free pages, and spans of objects of $bytes bytes that are $fill % full"
[ "$node $bytes" = "1 640" ] || fail "that is not what was planted"
[ "$fill" -lt 10 ] || fail "the spans are fuller than they are"

step "4. Free pages stay, since NEARHEAP_DECAY is -1: from now on they go back, and at once"
shown nearheap-ctl "$server" get NEARHEAP_DECAY
shown nearheap-ctl "$server" set NEARHEAP_DECAY 10000
shown nearheap-ctl "$server" scavenge "$node"
second=$(resident)
echo "$first -> $second KiB resident"
[ $((second * 10)) -lt $((first * 6)) ] || fail "resident memory has not fallen"

step "5. What is left lies in spans that few objects hold: the program copies these"
map_says "'\n'.join(told['advice'])"
left=$(map_says "nodes[$node]['in_spans']")
order again
shown nearheap-ctl "$server" scavenge "$node"
third=$(resident)
echo "$second -> $third KiB resident"
[ "$(map_says "nodes[$node]['in_spans']")" -lt $((left / 4)) ] ||
    fail "spans are as empty as before"
[ $((third * 10)) -lt $((second * 7)) ] || fail "resident memory has not fallen again"

step "6. The map again"
shown nearheap-map "$server" --classes 3
shown nearheap-map "$server" -o "$kept/after.html"
# shellcheck disable=SC2093,SC1083 # it closes the server's standard input, and goes on
exec {SERVER[1]}>&-
wait "$server" || fail "the server ended with an error: its objects are not what they were"
server=
echo
echo "walk_fragmented: $first KiB resident at first, $third in the end"
