#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# options.sh PROGRAM: what the environment variables do to PROGRAM, which runs on
# nearheap, allocates a little, and says nothing on stderr: values at and beyond
# their bounds, verbosity, statistics at exit.
set -euo pipefail

program=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

fail() {
    printf 'options.sh: %s\n' "$@" >&2
    failed=1
}

# run VARIABLE=VALUE ...: the lines that the program says.
run() {
    # shellcheck disable=SC2069 # stderr alone is meant
    env -i "$@" "$program" 2>&1 >/dev/null || echo "status $?"
}

silent() {
    local said
    said=$(run "$@")
    [ -z "$said" ] || fail "with $*, it said:" "$said"
}

# line REGEX VARIABLE=VALUE ...: exactly one line, all of which matches.
line() {
    local regex="nearheap: $1" said
    shift
    said=$(run "$@")
    if [ "$(wc -l <<<"$said")" != 1 ] || ! grep -qxE "$regex" <<<"$said"; then
        fail "with $*, it said:" "$said" "instead of one line like: $regex"
    fi
}

for good in DECAY=-1 DECAY=0 DECAY=86400000 CACHE=0 CACHE=16777216 CACHE=16m CACHE=64K CACHE=64k \
    VERBOSE=0 VERBOSE=1 BAD_FREE=report BAD_FREE=ignore HARDEN=0 HARDEN=1 HUGE=always HUGE=never STATS=0 STATS= \
    STATS_FORMAT=json PROFILE= PROFILE=/dev/null PROFILE_RATE=1 GUARD=0 GUARD=1 GUARD=8m TOPOLOGY= "TOPOLOGY=synthetic:numa:3 core:2 pu:1"; do
    silent "NEARHEAP_$good"
done

number='is not a whole number from'
for bad in "" -2 86400001 +5 0x10 "5 " 5k 99999999999999999999 -99999999999999999999; do
    line "NEARHEAP_DECAY=${bad/+/\\+} $number -1 to 86400000; using 10000" "NEARHEAP_DECAY=$bad"
done
for bad in -1 17m 1kk k 16777217 9223372036854775807k; do
    line "NEARHEAP_CACHE=$bad $number 0 to 16777216 .*; using 524288" "NEARHEAP_CACHE=$bad"
done
for bad in "" abor aborts ABORT 0; do
    line "NEARHEAP_BAD_FREE=$bad is not one of abort.report.ignore; using abort" \
        "NEARHEAP_BAD_FREE=$bad"
done
line 'cannot write the profile to /nowhere/p \(NEARHEAP_PROFILE\): no such file or folder' \
    NEARHEAP_PROFILE=/nowhere/p
line 'cannot write the profile to /dev/full \(NEARHEAP_PROFILE\): no space left' \
    NEARHEAP_PROFILE=/dev/full
line 'NEARHEAP_PROFILE_SIGNAL without NEARHEAP_PROFILE, .*' NEARHEAP_PROFILE_SIGNAL=64
line 'NEARHEAP_ is not an option .*' NEARHEAP_=1
line 'NEARHEAP_DECAYS is not an option .*' NEARHEAP_DECAYS=1
silent NEARHEA=1

# What is ignored is a warning, whatever comes first in the environment.
silent NEARHEAP_VERBOSE=0 NEARHEAP_FOO=1
silent NEARHEAP_FOO=1 NEARHEAP_VERBOSE=0

# Statistics: to stderr or to a file of each process; text or JSON.
for nodes in 1 4 64; do
    topology="NEARHEAP_TOPOLOGY=synthetic:numa:$nodes core:1 pu:1"
    run "$topology" NEARHEAP_STATS=1 >"$work/text"
    if ! grep -q '^nearheap: node 0$' "$work/text" ||
        ! grep -qE '^  live_bytes +[0-9]' "$work/text"; then
        fail "statistics as text:" "$(cat "$work/text")"
    fi
    silent "$topology" "NEARHEAP_STATS=$work/stats.$nodes.%p" NEARHEAP_STATS_FORMAT=json
    [ "$(find "$work" -name "stats.$nodes.[0-9]*" | wc -l)" = 1 ] || fail "not one file for %p"
    if command -v python3 >/dev/null; then
        python3 - "$work"/stats."$nodes".* <<'END_PYTHON' || fail "statistics as JSON"
import json, sys
stats = json.load(open(sys.argv[1]))
assert stats["nodes"] and stats["pid"] == int(sys.argv[1].rsplit(".", 1)[1])
for node in stats["nodes"]:
    assert node["mapped_bytes"] == node["in_use_bytes"] + node["free_bytes"], node
    assert node["live_bytes"] + node["cached_bytes"] <= node["in_use_bytes"], node
assert sum(node["mapped_bytes"] for node in stats["nodes"]) > 0
END_PYTHON
    fi
done
silent NEARHEAP_PROFILE=/dev/null NEARHEAP_PROFILE_SIGNAL=64

# Reports that cannot be written, and why.
for report in STATS "STATS_FORMAT=json NEARHEAP_STATS" LEAKS; do
    read -ra variables <<<"NEARHEAP_$report"
    last=${variables[-1]}
    for wrong in "/nonexistent/file no such file or folder" "/tmp is a folder" \
        "/dev/full no space left"; do
        line "cannot write to ${wrong%% *} \\($last\\): ${wrong#* }" \
            "${variables[@]:0:${#variables[@]}-1}" "$last=${wrong%% *}"
    done
done

# A report that got the number of standard error, which is closed: other lines are not its own.
env -i "NEARHEAP_STATS=$work/only" NEARHEAP_STATS_FORMAT=json NEARHEAP_PROFILE=/nonexistent/file \
    "$program" >/dev/null 2>&- || fail "without standard error its status is $?"
if ! grep -q '"nodes"' "$work/only" || grep -q nearheap: "$work/only"; then
    fail "the report of a process without standard error:" "$(cat "$work/only")"
fi

# A pipe that nobody reads is not waited for; to one that is read, all of it goes.
mkfifo "$work/pipe"
for report in STATS LEAKS; do
    line "cannot write to $work/pipe \\(NEARHEAP_$report\\): a pipe that nobody reads, .*" \
        "NEARHEAP_$report=$work/pipe"
done
line "cannot write the profile to $work/pipe \\(NEARHEAP_PROFILE\\): a pipe that nobody reads, .*" \
    "NEARHEAP_PROFILE=$work/pipe"
# By the shell's redirection it has a reader before the program begins.
exec 3<>"$work/pipe"
silent "NEARHEAP_STATS=$work/pipe" NEARHEAP_STATS_FORMAT=json
came=$(dd bs=65536 count=1 <&3 2>/dev/null)
exec 3>&-
if ! grep -q '"nodes"' <<<"$came" || [ "$(tail -n 1 <<<"$came")" != "}" ]; then
    fail "what came through a pipe is not the report:" "$came"
fi

# Nobody else may read them.
for report in STATS LEAKS PROFILE; do
    (umask 0 && silent "NEARHEAP_$report=$work/own.$report")
    [ "$(stat -c %a "$work/own.$report")" = 600 ] || fail "others may read what $report writes"
done

exit $failed
