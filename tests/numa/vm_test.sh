#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# vm_test.sh NUMA-VM: what becomes of the command's output and status, also when the guest
# ends without one or does not end.
set -euo pipefail
vm=$1
out=$(mktemp) err=$(mktemp)
trap 'rm -f "$out" "$err"' EXIT
fail() {
    echo "vm_test: $*" >&2
    cat "$out" "$err" >&2
    exit 1
}

# run STATUS OUTPUT COMMAND...: a guest with one node; OUTPUT is all that is printed.
run() {
    local expected=$1 text=$2 status=0
    shift 2
    "$(dirname "${BASH_SOURCE[0]}")/guest.sh" "$vm" --nodes 1 --mem 200 "$@" >"$out" 2>"$err" || status=$?
    [ $status != 77 ] || exit 77
    [ $status = "$expected" ] || fail "status $status, not $expected, of: $*"
    [ "$(cat "$out")" = "$text" ] || fail "not '$text' was printed by: $*"
}

run 0 "one two" -- /bin/echo "one two"
[ ! -s "$err" ] || fail "something was said of a guest in which all was well"
run 7 "last words" -- /bin/sh -c 'printf "last words"; exit 7'
run 0 "$(seq 2000)" -- /bin/seq 2000 # more than the line's buffer holds
run 125 "off" -- /bin/sh -c 'echo off; stty raw <&1; poweroff -f' # stty waits until it is sent
grep -q "ended without the command's status" "$err" || fail "nothing says that the guest just ended"
run 124 "on" --timeout 20 -- /bin/sh -c 'echo on; sleep 1000'
grep -q "the time was up: 20 seconds" "$err" || fail "nothing says that the time was up"
