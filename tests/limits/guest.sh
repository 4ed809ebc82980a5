#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# guest.sh PROGRAM MEGABYTES REFUSED: limits that only a guest can have, whose nodes have so much
# memory together; run there as root, by busybox' shell.
program=$1 memory=$2 refused=$3
failed=0

# run NAME ARGUMENT...: the status tells of a kill, too.
run() {
    name=$1
    shift
    "$@"
    status=$?
    [ $status = 0 ] || {
        echo "FAILED: $name: status $status"
        failed=$((failed + 1))
    }
}

nodes=$(ls -d /sys/devices/system/node/node[0-9]* | wc -l)

# What commits are granted is a part of what there is: about a third of the memory here.
echo 2 >/proc/sys/vm/overcommit_memory
echo 35 >/proc/sys/vm/overcommit_ratio
run overcommit_2 "$program" overcommit_2 $((memory / 5))

# With its holes filled by more, a process would have more than there is.
holes=$((memory * 7 / 8))
[ "$nodes" = 1 ] || holes=$((memory * 3 / 4))
for mode in 0 1; do
    echo $mode >/proc/sys/vm/overcommit_memory
    run overcommit_$mode "$program" --holes overcommit_$mode $holes
    # One node may be promised to more than it has; then it is the kernel that ends it.
    [ "$nodes" = 1 ] || run overcommit_$mode "$program" --brief overcommit_$mode $((memory / 2))
done

group=/sys/fs/cgroup/limits
mkdir $group
echo $((memory / 3))M >$group/memory.max
in_group() {
    (
        sh -c "echo \$\$ >$group/cgroup.procs; exec \"\$@\"" sh "$@"
    )
}
run memory.max in_group "$program" memory.max $((memory / 3))
# The mode is 1 still: the kernel would map it.
run memory.max_refused in_group env NEARHEAP_DECAY=-1 "$refused" memory.max 16384
run memory.max_holes in_group "$program" --holes memory.max $((memory * 5 / 12))

echo 1000 >/proc/sys/vm/max_map_count
run maps "$program" maps $((memory / 5))

[ $failed = 0 ]
