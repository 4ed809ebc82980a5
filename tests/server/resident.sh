#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# resident.sh LIBRARY PROGRAM: what preloading adds to the resident memory of a program
# that allocates nothing, or 8 objects of each of 20 sizes (PROGRAM prints its own, in
# KiB), is at most so many KiB; and 1400 for hwloc and what it loads where there are several
# nodes, which nearheap asks it about.
set -euo pipefail
library=$1 program=$2 hwloc=0
case $(cat /sys/devices/system/node/has_memory 2>/dev/null || true) in *[,-]*) hwloc=1400 ;; esac

adds_at_most() {
    local most=$(($1 + hwloc)) what=$2 without with
    shift 2
    without=$("$program" "$@")
    with=$(LD_PRELOAD=$library "$program" "$@")
    echo "resident, $what: $without KiB without, $with KiB with: $((with - without)) KiB more"
    [ $((with - without)) -le "$most" ]
}

adds_at_most 704 "nothing allocated"
adds_at_most 960 "a little of 20 sizes" 8
