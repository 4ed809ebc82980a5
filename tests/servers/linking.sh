#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# linking.sh BUILD: installs the build into a temporary place, builds the examples of
# linking/ against it in every way that the README names, and runs them on one node and
# on four that are made up.
set -euo pipefail
build=$1
source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/linking
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/usr" >/dev/null
lib=$(dirname "$(find "$work/usr" -name libnearheap.a)")
cd "$work"

# runs WHAT EXPECTED COMMAND...: the last line that it prints with four nodes.
four="synthetic:numa:4 core:2 pu:1"
runs() {
    local what=$1 expected=$2 printed
    shift 2
    printed=$(NEARHEAP_TOPOLOGY=$four "$@" | tail -n 1) || true
    [ "$printed" = "$expected" ] || { echo "$what: '$printed', not '$expected'" >&2; exit 1; }
    "$@" >/dev/null || { echo "$what: failed with the machine's own nodes" >&2; exit 1; }
    echo "$what: passed"
}

export PKG_CONFIG_PATH=$lib/pkgconfig
read -ra shared < <(pkg-config --cflags --libs nearheap)
cc "$source/buffer_pools.c" -o by_pkg_config "${shared[@]}" -pthread
runs "pkg-config, shared" "4 pools" env "LD_LIBRARY_PATH=$lib" ./by_pkg_config
# The whole program is static; of glibc's warning about dlopen see README.md, Linking.
read -ra static < <(pkg-config --static --cflags --libs nearheap)
cc -static "$source/buffer_pools.c" -o by_pkg_config_static "${static[@]}" 2>warned ||
    { cat warned >&2; exit 1; }
runs "pkg-config, static" "4 pools" ./by_pkg_config_static

cmake -S "$source" -B made -DCMAKE_PREFIX_PATH="$work/usr" >/dev/null
cmake --build made >/dev/null
for kind in nearheap nearheap_static nearheap_noreplace; do
    runs "CMake, $kind" "4 pools" "made/buffer_pools_$kind"
done
if [ ! -x made/rocksdb_nodes ]; then
    echo "RocksDB, cache on two nodes: not built (it needs Debian's librocksdb-dev)"
    exit 77
fi
NEARHEAP_TOPOLOGY=$four made/rocksdb_nodes database 1 3
echo "RocksDB, cache on two nodes: passed"
