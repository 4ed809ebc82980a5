#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# crossnode.sh BUILD: a server's threads send each other memory across nodes; with
# nearheap(7) and the tools alone a reader finds the call site, and sees the figure fall.
# tools/docs/operating.md tells the same steps.  The machine has two nodes of one CPU by
# a topology that is made up, or those of NEARHEAP_TOPOLOGY.
set -euo pipefail
build=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
run=$build/tools/nearheap-run
profile=$here/../../tools/nearheap-profile
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
topology=${NEARHEAP_TOPOLOGY:-synthetic:numa:2 core:1 pu:1}
unset LD_PRELOAD "${!NEARHEAP_@}"
export NEARHEAP_TOPOLOGY=$topology

fail() { echo "crossnode.sh: $*" >&2; exit 1; }
requests=20000

cc -g -O0 -fno-builtin -pthread -D_GNU_SOURCE -o server "$here/crossnode.c"

# The CPUs of the first and of the last node, as nearheap-topo tells them.
"$build/tools/nearheap-topo"
cpus() { # NODE: a CPU of it
    "$build/tools/nearheap-topo" --json | python3 -c '
import json, sys
nodes = json.load(sys.stdin)["nodes"]
print(nodes[int(sys.argv[1])]["cpus"].split(",")[0].split("-")[0])' "$1"
}
first=$(cpus 0) last=$(cpus -1)
for cpu in "$first" "$last"; do
    taskset -c "$cpu" true 2>/dev/null || { echo "skipped: there is no CPU $cpu here"; exit 77; }
done

# 1. The symptom: most frees are of another node's memory.
"$run" --quiet --stats before -- ./server "$first" "$last"
sed -n '/remote_frees/p; /^nearheap: home/p' before
remote() { # FILE: of all nodes
    awk '$1 == "remote_frees" { sum += $2 } END { print sum }' "$1"
}
[ "$(remote before)" -ge $((requests * 9 / 10)) ] || fail "remote_frees are $(remote before)"
grep -Eq "^nearheap: home 0, other [1-9][0-9]*:  frees [0-9]{5}" before || fail "the pair is not told"

# 2. Who allocates what is freed there?
"$run" --quiet --profile-file profile --profile-rate 16k -- ./server "$first" "$last"
"$profile" crossnode profile | tee crossnode
sed -n 2p crossnode | grep -q ' 100%  *0>[0-9]* .* read_request (.*crossnode\.c:[0-9]*) < reader' ||
    fail "the site was not found"

# 3. Both threads on one node: hardly anything crosses.
"$run" --quiet --stats after -- ./server "$first" "$first"
echo "remote_frees: $(remote before) before, $(remote after) after"
[ "$(remote after)" -le $((requests / 100)) ] || fail "it still crosses nodes"
echo "crossnode: found and mended"
