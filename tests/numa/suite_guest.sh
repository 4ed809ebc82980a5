#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# suite_guest.sh LIST: what suite.sh runs in the guest, by busybox' shell.
passed=0 failed=0 skipped=0
ulimit -c 0
# Some tests reserve more address space than the guest has memory.
echo 1 >/proc/sys/vm/overcommit_memory
# The longest do a part of what they do elsewhere.
export TEST_PART=4
while IFS= read -r line; do
    IFS=$(printf '\037')
    set -f
    # shellcheck disable=SC2086 # the words of the line
    set -- $line
    unset IFS
    name=$1 environment=$2
    shift 2
    begun=$(date +%s)
    # shellcheck disable=SC2086 # NAME=VALUE words
    output=$(env $environment timeout 600 "$@" 2>&1 </dev/null)
    status=$?
    seconds=$(($(date +%s) - begun))
    [ $seconds -lt 10 ] || echo "$name took $seconds s"
    case $status in
    0) passed=$((passed + 1)) ;;
    77) skipped=$((skipped + 1)) ;;
    *)
        failed=$((failed + 1))
        printf 'FAILED: %s: status %s; its output ends:\n%s\n' "$name" $status \
            "$(printf '%s\n' "$output" | tail -n 12)"
        ;;
    esac
done <"$1"
echo "nodes with memory $(cat /sys/devices/system/node/has_memory): $passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $passed != 0 ]
