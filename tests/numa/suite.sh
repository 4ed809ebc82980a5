#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# suite.sh NUMA-VM LIST ARGUMENT...: runs the tests of LIST one after another in
# one guest.  A line of LIST: name, environment and command's words, each ended by
# the unit separator.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
vm=$1 list=$2
shift 2
# Every word that is a file here is needed there.
copies=()
while IFS= read -r file; do
    copies+=(--copy "$file")
done < <(tr '\037' '\n' <"$list" | grep '^/' | sort -u | while IFS= read -r word; do
    [ ! -f "$word" ] || echo "$word"
done)
exec "$here/guest.sh" "$vm" "$@" --timeout 1700 "${copies[@]}" --copy "$list" --copy "$(command -v bash)" \
    --copy "$here/suite_guest.sh" -- sh "$here/suite_guest.sh" "$list"
