#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# preload.sh LIBRARY PROGRAM [SOURCE_DIR]: a real program with the library
# preloaded does real work, and its results are checked.  PROGRAM is one of the
# functions below.  Status 77 when that program is not installed.
set -euo pipefail
library=$1 program=$2 source=${3:-.}
[ -r "$library" ] || { echo "no library at $library" >&2; exit 2; }
work=$(mktemp -d)
server=''
cleanup() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap cleanup EXIT

need() {
    local name
    for name in "$@"; do
        command -v "$name" >/dev/null || { echo "$name is not installed"; exit 77; }
    done
}

# Preloaded, and its statistics at exit prove that it was.
with() {
    NEARHEAP_STATS="$work/stats.%p" LD_PRELOAD="$library" "$@"
}
was_used() {
    grep -q live_bytes "$work"/stats.* || { echo "the program did not run on nearheap" >&2; exit 1; }
}

run_python() {
    need python3
    with python3 - <<'END'
import json, re, threading, zlib
def work(n):
    d = {str(i): ["x" * (i % 300), i, {"k": i}] for i in range(n)}
    text = json.dumps(d)
    assert json.loads(zlib.decompress(zlib.compress(text.encode()))) == d
    assert len(re.findall(r'"k": \d+', text)) == n
    for i in range(0, n, 2):
        del d[str(i)]
    assert sum(v[1] for v in d.values()) == sum(range(1, n, 2))
threads = [threading.Thread(target=work, args=(3000 + i,)) for i in range(6)]
[t.start() for t in threads]
[t.join() for t in threads]
b = bytearray()
for i in range(300000):
    b += b"0123456789"
assert len(b) == 3000000 and b[2999990:] == b"0123456789"
END
    was_used
}

run_perl() {
    need perl
    with perl -e '
        my %h; $h{$_ % 1000} .= chr(97 + $_ % 26) for 0 .. 300000;
        my $n = 0; $n += length for values %h; die "lost" unless $n == 300001;
        my @s = sort { $a <=> $b } map { ($_ * 7919) % 100003 } 0 .. 100002;
        for (0 .. 100002) { die "unsorted" unless $s[$_] == $_ }'
    was_used
}

run_git() {
    need git
    export HOME=$work GIT_CONFIG_NOSYSTEM=1
    mkdir "$work/repository" && cd "$work/repository"
    with git init -q .
    with git config user.name tester && with git config user.email tester@example.org
    local i
    for i in 1 2 3 4 5; do
        seq $((i * 1000)) >"file$i"
        with git add . && with git commit -qm "commit $i"
    done
    with git gc -q --aggressive --prune=now
    with git fsck --strict
    [ "$(with git log --oneline | wc -l)" = 5 ]
    was_used
}

# An object file compiled with the compiler preloaded is the same.
run_gcc() {
    need gcc
    local flags=(-std=gnu17 -O2 -c -D_GNU_SOURCE -iquote "$source" -iquote "$source/src" -I "$source/include")
    gcc "${flags[@]}" "$source/src/page_heap.c" -o "$work/plain.o"
    with gcc "${flags[@]}" "$source/src/page_heap.c" -o "$work/preloaded.o"
    cmp "$work/plain.o" "$work/preloaded.o"
    was_used
}

run_stress_ng() {
    need stress-ng
    with stress-ng --malloc 2 --malloc-ops 100000 --malloc-thresh 65536 --verify --timeout 60
    with stress-ng --malloc 2 --malloc-pthreads 4 --malloc-ops 50000 --verify --timeout 60
    was_used
}

run_redis() {
    need redis-server redis-benchmark redis-cli
    local socket=$work/redis.sock
    cli() { redis-cli -s "$socket" "$@"; }
    cd "$work"
    NEARHEAP_STATS="$work/stats.%p" LD_PRELOAD="$library" redis-server --port 0 --unixsocket "$socket" \
        --dir "$work" --appendonly yes --save '' --maxmemory 200mb --daemonize no >"$work/log" 2>&1 &
    server=$!
    local i
    for i in $(seq 1200); do
        cli ping >/dev/null 2>&1 && break
        if [ "$i" = 1200 ] || ! kill -0 "$server" 2>/dev/null; then
            cat "$work/log" >&2
            exit 1
        fi
        sleep 0.05
    done
    grep -q "$(basename "$library")" "/proc/$server/maps"
    redis-benchmark -s "$socket" -t set,get,lpush,lrange_100,hset,zadd -n 30000 -r 5000 -P 16 -c 20 -q >"$work/bench"
    for i in $(seq 500); do echo "SET check:$i $(printf '%*s' $((i * 3)) '' | tr ' ' "$((i % 10))")"; done | cli >/dev/null
    cli bgsave >/dev/null
    cli bgrewriteaof >/dev/null || true
    for i in $(seq 500); do
        [ "$(cli strlen "check:$i")" = $((i * 3)) ] || { echo "check:$i lost" >&2; exit 1; }
    done
    [ "$(cli get check:7)" = "777777777777777777777" ]
    cli shutdown nosave >/dev/null 2>&1 || true
    wait "$server" || { cat "$work/log" >&2; exit 1; }
    server=''
    was_used
}

"run_$program"
echo "$program: passed"
