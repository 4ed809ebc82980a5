#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# output_test.sh BUILT SCRIPTS DUMP: a tool that cannot print ends with a line that says so and
# the status that its page gives for trouble, on a full disk and without any output; and
# nothing that it opens becomes its output.
set -euo pipefail
built=$1 scripts=$2 dump=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { echo "output_test: $*" >&2; exit 1; }

# cannot_print STATUS SAID COMMAND...
cannot_print() {
    local expected=$1 said=$2 status=0
    shift 2
    "$@" >/dev/full 2>"$work/err" || status=$?
    [ $status = "$expected" ] || fail "$*: status $status on a full disk, not $expected"
    [ "$(cat "$work/err")" = "$said: No space left on device" ] ||
        fail "$*: said of a full disk: $(cat "$work/err")"
    status=0
    "$@" >&- 2>"$work/err" || status=$?
    [ $status = "$expected" ] || fail "$*: status $status without output, not $expected"
    [ "$(cat "$work/err")" = "$said: Bad file descriptor" ] ||
        fail "$*: said without output: $(cat "$work/err")"
    "$@" >"$work/out" 2>&1 || fail "$*: status $?"
    [ -s "$work/out" ] || fail "$* prints nothing"
}

while read -r tool status; do
    for option in --help --version; do
        cannot_print "$status" "$tool: cannot write" "$built/$tool" $option
    done
done <<'END'
nearheap-run 125
nearheap-topo 2
nearheap-top 2
nearheap-ctl 1
END
cannot_print 2 "nearheap-topo: cannot write" "$built/nearheap-topo"
cannot_print 2 "nearheap-topo: cannot write" "$built/nearheap-topo" --json
cannot_print 125 "nearheap-run: cannot write" "$built/nearheap-run" --print-env
for tool in nearheap-map nearheap-profile; do
    for option in --help --version; do
        cannot_print 1 "$tool: standard output" "$scripts/$tool" $option
    done
done
cannot_print 1 "nearheap-map: standard output" "$scripts/nearheap-map" "$dump"
cannot_print 1 "nearheap-map: standard output" "$scripts/nearheap-map" --json "$dump"

# Nor without an input.
status=0
"$scripts/nearheap-map" "$dump" <&- >&- 2>"$work/err" || status=$?
[ $status = 1 ] || fail "nearheap-map without input and output: status $status"
[ "$(cat "$work/err")" = "nearheap-map: standard output: Bad file descriptor" ] ||
    fail "nearheap-map without input and output: said $(cat "$work/err")"

# A program that nearheap-run starts finds closed what was.
closed=$("$built/nearheap-run" --quiet -- sh -c '[ -e /proc/self/fd/0 ] || echo closed' <&-)
[ "$closed" = closed ] || fail "nearheap-run opens what was closed"
echo "output_test: passed"
