#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# options_table.sh PROGRAM README: the README's table of options is the one
# that the engine has.
set -euo pipefail
diff -u <(sed -n '/^<!-- options:/,/^<!-- end of options/p' "$2" | grep '^|') <("$1") ||
    { echo "README.md's table of options differs from src/options.def: put the output of $1 there" >&2; exit 1; }
