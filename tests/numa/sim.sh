#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# sim.sh NUMA-SIM LIBRARY [OPTION...] -- COMMAND [ARGUMENT...]: the command under
# nearheap, glibc and the peers that are installed, in the simulator (its OPTIONs).
# nearheap's remote misses must be no more than any other's, and a fifth at most of
# those of whom a tenth or more of all misses are remote.  Prints the table.
# Installs nothing; status 77, "skipped", where QEMU or busybox is missing.
set -euo pipefail
export TOOLS_NO_INSTALL=yes
sim=$1 library=$2
shift 2
command -v qemu-system-x86_64 >/dev/null && command -v busybox >/dev/null || {
    echo "skipped: there is no QEMU or no busybox"
    exit 77
}
libraries=/usr/lib/$(uname -m)-linux-gnu
# By its name also for programs that are linked to another allocator.
preloads=(--preload "glibc=$libraries/libc.so.6")
for peer in jemalloc=libjemalloc.so.2 mimalloc=libmimalloc.so.2 mimalloc=libmimalloc.so.2.0 \
    tcmalloc=libtcmalloc_minimal.so.4; do
    file=$libraries/${peer#*=}
    case " ${preloads[*]} " in *" ${peer%%=*}="*) continue ;; esac
    [ ! -e "$file" ] || preloads+=(--preload "${peer%%=*}=$file")
done
table=$("$sim" --markers "${preloads[@]}" --preload nearheap="$library" "$@" 2>/dev/null)
printf '%s\n' "$table"
printf '%s\n' "$table" | awk '
    NR > 1 { remote[$1] = $5; misses[$1] = $3 }
    END {
        ours = remote["nearheap"]
        if (ours == "") { print "FAILED: no count"; exit 1 }
        for (name in remote) {
            if (name == "nearheap") continue
            most = remote[name] * 10 > misses[name] ? remote[name] / 5 : remote[name]
            if (ours > most) {
                printf "FAILED: %d remote misses, at most %d wanted beside %s\n", ours, most, name
                failed = 1
            }
        }
        exit failed
    }'
