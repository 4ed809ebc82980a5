#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# ctl_guest.sh BUILD NUMA-VM: nearheap-ctl where there are nodes: memory moves to another one,
# and from then on the dump has it there.
set -euo pipefail
build=$(realpath "$1") vm=$2
inside=$(mktemp)
trap 'rm -f "$inside"' EXIT
fail() { echo "ctl_guest: $*" >&2; exit 1; }

# What runs in the guest, by busybox's shell.
cat >"$inside" <<END
mkfifo /tmp/in /tmp/out
NEARHEAP_SHARE=1 $build/tests/ctl_program </tmp/in >/tmp/out &
pid=\$!
exec 4>/tmp/in 5</tmp/out
read -r line <&5
tries=0
until $build/tools/nearheap-ctl \$pid get >/dev/null 2>&1; do
    tries=\$((tries + 1))
    [ \$tries -lt 600 ] || exit 1
    sleep 0.1
done
echo "hold 40000000" >&4
read -r line <&5
$build/tools/nearheap-ctl \$pid migrate 1 0
$build/tools/nearheap-ctl \$pid dump >/tmp/dump
awk '/^span .* large/ { on[\$5]++ } END { for (node in on) print "node", node, on[node] }' /tmp/dump
exec 4>&-
wait \$pid
END
status=0
here=$(dirname "${BASH_SOURCE[0]}")
out=$("$here/../numa/guest.sh" "$vm" --nodes 2 --mem 256 --copy "$build/tests/ctl_program" \
    --copy "$build/tools/nearheap-ctl" --copy "$build/libnearheap.so.0" --copy "$inside" \
    -- /bin/busybox sh "$inside") || status=$?
if [ $status != 0 ]; then
    echo "$out"
    exit $status # 77: there can be no guest here
fi
moved=$(sed -n 's/^moved_bytes //p' <<<"$out" | tr -d '\r')
[ "${moved:-0}" -gt 30000000 ] || fail "of 40000000 bytes moved: $out"
grep -q '^failed_bytes 0' <<<"$out" || fail "some did not move: $out"
grep -q '^node 0 3' <<<"$out" || fail "they are not where they were moved: $out"
! grep -q '^node 1 ' <<<"$out" || fail "some are told to be where they were: $out"
echo "ctl_guest: $moved bytes moved"
