#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# run_test.sh BUILD OPTIONS-TABLE: nearheap-run as built in BUILD and as installed: what it
# sets, refuses, prints and says of machines that are made up of files.  OPTIONS-TABLE
# prints the README's table of the options.
# shellcheck disable=SC2016,SC1091 # the program's shell expands them; ./out is made here
set -euo pipefail
build=$(realpath "$1") table=$(realpath "$2")
run=$build/tools/nearheap-run
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
unset LD_PRELOAD "${!NEARHEAP_@}"

fail() { echo "run_test: $*" >&2; exit 1; }
# equal WHAT FOUND EXPECTED
equal() { [ "$2" = "$3" ] || fail "$1: '$2', where '$3' is right"; }
# status EXPECTED COMMAND...
status() {
    local expected=$1 found=0
    shift
    "$@" >out 2>err || found=$?
    [ "$found" = "$expected" ] || { cat err >&2; fail "$*: status $found, not $expected"; }
}

# The program runs on the library, with the variables asked for, and ends as it does.
status 0 "$run" --stats "$work/stats" --decay=250 --cache 1k -- sh -c 'env | grep NEARHEAP_ | sort'
equal "variables of the program" "$(paste -sd' ' out)" \
    "NEARHEAP_CACHE=1k NEARHEAP_DECAY=250 NEARHEAP_STATS=$work/stats"
grep -q live_bytes stats || fail "the program did not run on nearheap"
grep -q 'profile none: .*NEARHEAP_DECAY=250' err || fail "what is in force is not said"
status 3 "$run" sh -c 'exit 3'
status 0 "$run" --quiet -- sh -c 'echo --decay "$LD_PRELOAD"'
equal "quiet" "$(cat err)" ""
equal "the program's arguments" "$(cat out)" "--decay $build/libnearheap.so.0"
status 0 env LD_PRELOAD=libm.so.6 "$run" --quiet sh -c 'echo "$LD_PRELOAD"'
equal "another library stays" "$(cat out)" "$build/libnearheap.so.0:libm.so.6"

# What is wrong here, before anything is started.
status 125 "$run" --decay soon true
equal "a bad value" "$(cat err)" \
    "nearheap-run: --decay: NEARHEAP_DECAY=soon is not a whole number from -1 to 86400000"
status 125 "$run" --huge yes true
status 125 "$run" --cache 17m true
while read -r option value said; do
    status 125 "$run" "--$option" "$value" true
    grep -q -- "^nearheap-run: --$option: NEARHEAP_.*=$value.*$said" err || fail "--$option $value: $(cat err)"
done <<'END'
node-limit bogus is not a size
node-limit 0 leaves no memory
node-limit 1=4m,1=8m limits node 1 twice
interleave-nodes bogus is not a list of nodes
topology bogus is not "synthetic:"
topology synthetic:moon:2 is not "synthetic:"
profile-signal 9 no program can handle
profile-signal 65 is not a whole number
END
status 0 "$run" --quiet --node-limit 8k --node-limit '' --interleave-nodes 0 --profile-signal 12 true
for action in --print-env --print-unit --check true; do
    status 125 env NEARHEAP_DECAY=abc "$run" $action
    equal "a bad value in the environment" "$(cat err)" \
        "nearheap-run: NEARHEAP_DECAY=abc is not a whole number from -1 to 86400000"
    status 125 env NEARHEAP_DECAI=5 "$run" $action
    grep -q 'NEARHEAP_DECAI is not an option' err || fail "an unknown variable: $(cat err)"
done
status 0 env NEARHEAP_DECAY=abc "$run" --decay 5 --print-env
status 125 "$run" --decay
status 125 "$run" --moon true
status 125 "$run" --profile fast true
equal "a bad profile" "$(cat err)" \
    "nearheap-run: --profile: no profile is called 'fast': there are latency throughput memory"
status 125 "$run" --lib "$work/none" true
echo text >text
status 125 "$run" --lib text true
grep -q 'no library for programs' err || fail "a text is taken for a library: $(cat err)"
# The loader takes the variable apart at these.
for folder in "a b" a:b; do
    mkdir "$folder"
    ln -s "$build/libnearheap.so.0" "$folder/"
    status 125 "$run" --lib "$folder/libnearheap.so.0" true
    grep -qF "$folder/libnearheap.so.0: LD_PRELOAD cannot name" err ||
        fail "a path that is not preloaded: $(cat err)"
done
status 125 "$run"
status 126 "$run" --quiet "$work"
status 127 "$run" --quiet no-such-program
status 0 "$run" --help

# Every option of the library is an option, and every profile sets what the help says.
while read -r variable; do
    name=${variable#NEARHEAP_}
    [ "$name" != PROFILE ] || name=PROFILE_FILE # --profile is one of nearheap-run's own
    name=${name,,}
    grep -q "^  --${name//_/-} VALUE" out || fail "--help lacks $variable"
done < <("$table" | grep -o 'NEARHEAP_[A-Z_]*')
cp out help
for profile in latency throughput memory; do
    expected=$(sed -n "/^      $profile: /,/^      [a-z]*: \|^  --lib/s/^ *\(NEARHEAP_[A-Z_]*=[^:]*\): .*/\1/p" help | sort)
    [ -n "$expected" ] || fail "--help does not say what $profile sets"
    status 0 "$run" --quiet --profile $profile -- sh -c 'env | grep NEARHEAP_ | sort'
    equal "profile $profile" "$(cat out)" "$expected"
    # The library takes all of it without a word.
    equal "words of the library" "$(cat err)" ""
done
status 0 env NEARHEAP_DECAY=7 "$run" --quiet --profile memory --cache 3k -- \
    sh -c 'echo $NEARHEAP_DECAY $NEARHEAP_CACHE $NEARHEAP_HUGE'
equal "who goes before whom" "$(cat out)" "7 3k never"

# What it prints for shells is what they read, and what it prints for systemd has its form.
status 0 "$run" --stats '/tmp/a "$b" %p' --print-env
# The library is not loaded into what reads it here.
equal "print-env, read by a shell" \
    "$(eval "$(cat out)"; preload=$LD_PRELOAD; unset LD_PRELOAD; env | grep NEARHEAP_; echo "$preload")" \
    "$(printf '%s\n' 'NEARHEAP_STATS=/tmp/a "$b" %p' "$build/libnearheap.so.0")"
status 0 "$run" --profile memory --stats /tmp/%p --print-unit
grep -qx '\[Service\]' out || fail "print-unit: no section"
grep -qx 'Environment="NEARHEAP_STATS=/tmp/%%p"' out || fail "print-unit: a % is not doubled"
grep -qx "Environment=\"LD_PRELOAD=$build/libnearheap.so.0\"" out ||
    fail "print-unit: no library"
grep -qx 'SystemCallErrorNumber=EPERM' out || fail "print-unit: a filter would end the program"
grep -qx "ExecPaths=\"-$build\"" out || fail "print-unit: the library's folder is not allowed"
if command -v systemd-analyze >/dev/null; then
    { cat out; echo "ExecStart=/bin/true"; } >try.service
    status 0 systemd-analyze verify ./try.service
fi

# A machine where nothing is to be changed, and one with a fault at a time.
machine() {
    rm -rf m
    mkdir -p m/sys/kernel/mm/transparent_hugepage m/proc/sys/vm m/proc/sys/kernel m/proc/self \
        m/sys/devices/system/node m/sys/fs/cgroup/a
    echo 'always [madvise] never' >m/sys/kernel/mm/transparent_hugepage/enabled
    echo 'always defer [madvise] never' >m/sys/kernel/mm/transparent_hugepage/defrag
    echo 0 >m/proc/sys/vm/overcommit_memory
    echo 65530 >m/proc/sys/vm/max_map_count
    echo 0 >m/proc/sys/kernel/numa_balancing
    echo 0-1 >m/sys/devices/system/node/online
    echo 0::/a >m/proc/self/cgroup
    echo max | tee m/sys/fs/cgroup/a/memory.high >m/sys/fs/cgroup/a/memory.max
}
check() { "$run" --system m --check "$@"; }
# fault FILE TEXT WORD OPTION...: a machine with that text is complained of with that word.
fault() {
    machine
    echo "$2" >"m$1"
    status 1 check "${@:4}"
    equal "complaints of $1" "$(wc -l <err)" 1
    grep -q -- "$3" err || fail "$1: '$(cat err)' does not name $3"
}
machine
(ulimit -v unlimited && check --profile latency true) || fail "a good machine is complained of"
huge=/sys/kernel/mm/transparent_hugepage
fault $huge/enabled '[always] madvise never' 'echo madvise' --profile latency
fault $huge/enabled 'always madvise [never]' 'no effect' --profile throughput
fault $huge/defrag '[always] defer madvise never' 'defer+madvise' --profile latency
fault /proc/sys/vm/overcommit_memory 2 'vm.overcommit_memory=0'
fault /proc/sys/vm/max_map_count 30000 'vm.max_map_count=65530'
fault /proc/sys/kernel/numa_balancing 1 'kernel.numa_balancing=0'
fault /sys/fs/cgroup/a/memory.high 1048576 'MemoryHigh=infinity'
echo 1048576 >m/sys/fs/cgroup/a/memory.max
status 0 check
machine
echo 0 >m/sys/devices/system/node/online
echo 1 >m/proc/sys/kernel/numa_balancing
status 0 check # one node: nothing is balanced
status 1 bash -c 'ulimit -v 8000000 && exec "$@"' - "$run" --system m --check
grep -q 'LimitAS=infinity' err || fail "a limit of address space is not named"
echo 'int main(void) { return 0; }' >still.c
cc -static still.c -o still
machine
status 1 check ./still
grep -q 'statically linked' err || fail "a static program is not named"
status 0 "$run" --system m ./still # and is started all the same
chmod 4755 still
cc still.c -o changes && chmod 4755 changes
if chown 65534 changes 2>/dev/null; then
    chmod 4755 changes
    status 1 check ./changes
    grep -q "another user's rights" err || fail "a program that changes users is not named"
fi
machine
cc still.c -o capable
# cap_net_bind_service, as setcap would write it.
if python3 -c 'import os, struct
os.setxattr("capable", "security.capability", struct.pack("<5I", 0x2000001, 1 << 10, 0, 0, 0))' 2>/dev/null; then
    status 1 check ./capable
    grep -q 'setcap -r' err || fail "a program with capabilities is not named"
fi
# What cannot be started.
for name in no-such-program /nonexistent; do
    status 127 check $name
    grep -q "nearheap-run: $name: " err || fail "$name: $(cat err)"
done
for name in ./text .; do
    status 126 check $name
    grep -q "nearheap-run: $name: Permission denied" err || fail "$name: $(cat err)"
done
rm -rf m
status 0 check # nothing can be read: nothing is said

# As installed, it finds the library that was installed with it.
cmake --install "$build" --prefix "$work/usr" >/dev/null
status 0 usr/bin/nearheap-run --quiet sh -c 'echo "$LD_PRELOAD"'
equal "the installed library" "$(cat out)" \
    "$(realpath usr)/$(find usr -name libnearheap.so.0 -printf %P)"
echo "run_test: passed"
