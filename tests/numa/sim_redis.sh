#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC3040 # busybox has pipefail
#
# sim_redis.sh - for tools/numa-sim: a redis-server's main thread on the guest's
# CPU 0, its I/O threads on CPUs 1 and 2 and its client on CPU 3, over loopback.
# (Where the scheduler puts them changes the counts more than any allocator does.)
# Runs inside the guest, under busybox:
#
#     tools/numa-sim --markers --only-cpus 0,1,2 --copy /usr/bin/redis-server \
#         --copy /usr/bin/redis-benchmark --preload ... -- tests/numa/sim_redis.sh
#
# Without a preload Debian's redis-server uses jemalloc, to which it is linked; for
# glibc's malloc preload libc.so.6 itself.  Only the server is preloaded, and what it
# does before it is filled does not count.
set -euo pipefail
preload=${LD_PRELOAD-}
unset LD_PRELOAD
requests=${1-3000}

ifconfig lo 127.0.0.1 up
cd /tmp
# shellcheck disable=SC2086 # a variable or none
taskset 1 env ${preload:+LD_PRELOAD=$preload} /usr/bin/redis-server --save '' --appendonly no \
    --bind 127.0.0.1 --io-threads 3 --io-threads-do-reads yes \
    --lazyfree-lazy-server-del yes --lazyfree-lazy-user-del yes \
    --logfile /tmp/log &
server=$!

client() {
    taskset 8 /usr/bin/redis-benchmark -q -c 16 -n "$requests" -r 2000 -P 4 "$@" |
        tr '\r' '\n' | grep 'per second'
}

tries=0
until grep -q 'Ready to accept' /tmp/log 2>/dev/null; do
    tries=$((tries + 1))
    if [ $tries = 300 ] || ! kill -0 "$server"; then
        echo "the server does not start"
        exit 1
    fi
    sleep 0.1
done
for thread in 1 2; do
    task=$(grep -lx "io_thd_$thread" "/proc/$server/task"/*/comm)
    taskset -p $((1 << thread)) "$(basename "$(dirname "$task")")" >/dev/null
done
client -d 2000 -t set
"$NUMA_SIM_RUN" --start
client -d 64 -t set,get,lpush,lpop
client -d 2000 -t set,get
"$NUMA_SIM_RUN" --stop
kill "$server"
wait "$server"
