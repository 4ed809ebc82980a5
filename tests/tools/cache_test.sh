#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# cache_test.sh TOOLS: the scripts in the folder TOOLS that keep what they download ask for a
# folder of the user's, and take none that others could have prepared.
set -euo pipefail
tools=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { echo "cache_test: $*" >&2; exit 1; }

# refuses STATUS COMMAND...
refuses() {
    local expected=$1 variables found
    shift
    for variables in "-u HOME -u XDG_CACHE_HOME" "HOME= XDG_CACHE_HOME="; do
        found=0
        # shellcheck disable=SC2086 # words of env's
        env $variables "$@" >"$work/out" 2>"$work/err" || found=$?
        [ "$found" = "$expected" ] || fail "env $variables $*: status $found, not $expected"
        grep -q 'set HOME' "$work/err" || fail "env $variables $*: $(cat "$work/err")"
        [ ! -s "$work/out" ] || fail "env $variables $* prints $(cat "$work/out")"
    done
}

refuses 1 "$tools/debian-root"
refuses 1 "$tools/arm64-root"
refuses 125 "$tools/numa-vm" -- true
# Found where the variables say.
mkdir -p "$work/.cache/nearheap/aarch64"
echo kernel >"$work/.cache/nearheap/aarch64/vmlinuz"
for variables in "-u XDG_CACHE_HOME HOME=$work" "-u HOME XDG_CACHE_HOME=$work/.cache"; do
    # shellcheck disable=SC2086 # words of env's
    found=$(env $variables "$tools/arm64-root")
    [ "$found" = "$work/.cache/nearheap/aarch64" ] || fail "env $variables: $found"
done
echo "nothing is taken from where others write"
