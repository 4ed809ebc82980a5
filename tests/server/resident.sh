#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# resident.sh LIBRARY PROGRAM: what preloading adds to the resident memory of a
# program that allocates nothing (PROGRAM prints its own, in KiB) is at most
# 2 MiB.
set -euo pipefail
without=$("$2")
with=$(LD_PRELOAD=$1 "$2")
echo "resident: $without KiB without, $with KiB with: $((with - without)) KiB more"
[ $((with - without)) -le 2048 ]
