#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# leaks.sh PROGRAM: what the report at exit says of PROGRAM (leaks.c).
set -euo pipefail

program=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# expect WHAT COUNT REGEX: how many of the report's lines match.
expect() {
    local found
    found=$(grep -cxE "nearheap: $3" "$work/report" || true)
    if [ "$found" != "$2" ]; then
        echo "leaks.sh: $1: $found lines like '$3', not $2, in:" >&2
        cat "$work/report" >&2
        failed=1
    fi
}

for where in stderr file; do
    if [ $where = stderr ]; then
        NEARHEAP_LEAKS=1 "$program" 2>"$work/report"
    else
        NEARHEAP_LEAKS="$work/at.%p" "$program" 2>"$work/said"
        [ ! -s "$work/said" ] || { cat "$work/said"; failed=1; }
        mv "$work"/at.[0-9]* "$work/report"
    fi
    expect "the sum" 1 'held at exit: [0-9]+ objects, [0-9]+ bytes'
    expect "what is held" 1 ' +7 of 4608 bytes, 32256 bytes'
    expect "what is cached" 0 ' +[0-9]+ of 10240 bytes, [0-9]+ bytes'
    expect "large objects" 1 ' +[1-9] with spans of their own, [1-9][0-9]{6} bytes' # a sanitizer has one, too
    expect "pages" 1 ' +1 of nh_pages_alloc, 16384 bytes'
done
for none in '' 0; do
    NEARHEAP_LEAKS=$none "$program" 2>"$work/report"
    expect "nobody asked" 0 '.*'
done
exit $failed
