#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC3040 # busybox has pipefail
#
# sim_redis.sh moved|threads - for tools/numa-sim: a redis-server at work, its client
# and all else on the guest's CPU 3.
#
#   moved    a cache that evicts, filled on CPU 0; then the server is moved to CPU 1,
#            as schedulers and operators do, and what counts is its work after it has
#            replaced what it held
#   threads  the main thread on CPU 0, I/O threads on CPUs 1 and 2; each value is made
#            on the node of the thread that read it, and used on others by the program's
#            own design
#
# Runs inside the guest, under busybox; sim.sh has the call.  Only the server is
# preloaded.  Without a preload Debian's redis-server uses jemalloc, to which it is
# linked; for glibc's malloc preload libc.so.6 itself.
set -euo pipefail
preload=${LD_PRELOAD-}
unset LD_PRELOAD
mode=$1
keys=4000 # for moved: 1.5 times what fits

# start OPTION...: the server, on CPU 0
start() {
    # shellcheck disable=SC2086 # a variable or none
    taskset 1 env ${preload:+LD_PRELOAD=$preload} /usr/bin/redis-server --save '' \
        --appendonly no --bind 127.0.0.1 --logfile /tmp/log "$@" &
    server=$!
    tries=0
    until grep -q 'Ready to accept' /tmp/log 2>/dev/null; do
        tries=$((tries + 1))
        if [ $tries = 1200 ] || ! kill -0 "$server"; then
            echo "the server does not start"
            exit 1
        fi
        sleep 0.1
    done
}

client() {
    /usr/bin/redis-benchmark -q -c 16 -P 4 "$@" | tr '\r' '\n' | grep 'per second'
}

taskset -p 8 $$ >/dev/null
ifconfig lo 127.0.0.1 up
cd /tmp
case $mode in
moved)
    start --maxmemory 8mb --maxmemory-policy allkeys-lru
    client -r $keys -d 2000 -n $((3 * keys)) -t set
    for task in /proc/"$server"/task/*; do
        taskset -p 2 "${task##*/}" >/dev/null
    done
    client -r $keys -d 2000 -n $((3 * keys)) -t set
    "$NUMA_SIM_RUN" --start
    client -r $keys -d 2000 -n $keys -t set,get
    ;;
threads)
    start --io-threads 3 --io-threads-do-reads yes \
        --lazyfree-lazy-server-del yes --lazyfree-lazy-user-del yes
    for thread in 1 2; do
        comm=$(grep -lx "io_thd_$thread" "/proc/$server/task"/*/comm)
        taskset -p $((1 << thread)) "$(basename "${comm%/comm}")" >/dev/null
    done
    client -r 2000 -d 2000 -n 3000 -t set
    "$NUMA_SIM_RUN" --start
    client -r 2000 -d 64 -n 3000 -t set,get,lpush,lpop
    client -r 2000 -d 2000 -n 3000 -t set,get
    ;;
esac
"$NUMA_SIM_RUN" --stop
kill "$server"
wait "$server"
