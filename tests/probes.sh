#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# probes.sh LIBRARY PROBE.H [HAVE-SDT]: the library's notes name exactly the probes
# that probe.h declares, each with as many arguments.
set -euo pipefail
library=$1 header=$2
if [ -z "${3:-}" ]; then
    echo "probes.sh: skipped: built without sys/sdt.h (Debian: systemtap-sdt-dev)"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# "name arguments" of each: a parameter list in the header, "size@place" words in a note.
sed -nE 's/^#define probe_([a-z_]+)\(([^)]*)\).*/\1 \2/p' "$header" |
    while read -r name parameters; do
        echo "$name $(tr -cd ',' <<<"$parameters," | wc -c)"
    done | sort -u >"$work/declared"
LC_ALL=C readelf -n "$library" | awk '
    /Provider:/ { ours = $2 == "nearheap" }
    /Name:/ { name = $2 }
    /Arguments:/ && ours { print name, gsub(/@/, "@") }' | sort -u >"$work/noted"

[ -s "$work/declared" ]
diff "$work/declared" "$work/noted"
echo "$(wc -l <"$work/noted") probes: $(cut -d' ' -f1 "$work/noted" | tr '\n' ' ')"
