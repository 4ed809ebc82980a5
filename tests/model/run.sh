#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# run.sh [DEFINITION]: has Spin try every interleaving of lookup.pml.  Without a definition
# there must be no error; with one of its BREAK_… there must be one.
set -euo pipefail

model=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/lookup.pml
for program in spin cc; do
    if ! command -v $program >/dev/null; then
        echo "skipped: there is no $program"
        exit 77
    fi
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
spin ${1:+-D$1} -a "$model" >spin.out
cc -O2 -w -DSAFETY -DCOLLAPSE -o pan pan.c
./pan -m100000 >pan.out 2>&1 || { cat pan.out; exit 1; }
grep -E 'State-vector|errors:|states, stored$' pan.out
if grep -qE 'max search depth too small|out of memory|Search not completed' pan.out && [ $# = 0 ]; then
    cat pan.out
    exit 1
fi
errors=$(sed -nE 's/.*errors: ([0-9]+).*/\1/p' pan.out)
if [ $# = 0 ]; then
    [ "$errors" = 0 ] || { cat pan.out; exit 1; }
    # All of it was reached: an assertion in code that is not says nothing.  (The holder is
    # never told that its object's span is changing: that is what is proved.)
    if sed -n '/^unreached in proctype [wr]/,/^unreached in proctype h/p' pan.out |
        grep -F 'lookup.pml'; then
        echo "unreached states" >&2
        exit 1
    fi
else
    grep -q 'assertion violated' pan.out || { echo "$1: not found out" >&2; cat pan.out; exit 1; }
fi
