#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# run.sh HOW PROGRAM REGEX: runs PROGRAM; its stderr must be exactly one line, or WANT_LINES,
# all of which match the extended regular expression ("silence": no line); those of a bad call
# also end with the thread and the process, which is REGEX's not to say; and it
# must end as HOW says: "abort", "fault" (SIGSEGV), or "on" (it goes on and ends with status 0).
set -euo pipefail
how=$1 program=$2 regex=$3
who=' \(thread [0-9]+ of process [0-9]+\)$'
ulimit -c 0
status=0
err=$("$program" 2>&1 >/dev/null) || status=$?
case $how in
on) want=0 ;;
fault) want=139 ;;
*) want=134 ;;
esac
if [ "$status" != "$want" ]; then
    echo "ended with status $status, not $want; it said: $err" >&2
    exit 1
fi
if [ "$regex" = silence ]; then
    [ -z "$err" ] || { echo "it said: $err" >&2; exit 1; }
elif printf '%s\n' "$err" | grep '^nearheap: bad ' | grep -qvE "$who"; then
    printf 'it did not say which process it was:\n%s\n' "$err" >&2
    exit 1
elif [ "$(printf '%s\n' "$err" | wc -l)" != "${WANT_LINES:-1}" ] ||
    printf '%s\n' "$err" | sed -E "s/$who//" | grep -qvxE "$regex"; then
    printf 'it said:\n%s\nwanted %s line(s) that match:\n%s\n' "$err" "${WANT_LINES:-1}" "$regex" >&2
    exit 1
fi
