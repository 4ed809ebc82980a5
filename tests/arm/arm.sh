#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# arm.sh BUILD [--all] [ARGUMENT...]: builds for arm64 in the folder BUILD and runs
# tests in a guest, whose machine the arguments of tools/numa-vm describe: a few of
# them, or with --all all that run in guests.  Status 77, "skipped", where the cross
# compiler, QEMU or Debian's packages for arm64 cannot be had; nothing is installed.
set -euo pipefail
export TOOLS_NO_INSTALL=yes
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$(realpath -m "$1")
shift
all=
if [ "${1-}" = --all ]; then
    all=yes
    shift
fi

skip() {
    echo "skipped: $*"
    exit 77
}

for needed in aarch64-linux-gnu-gcc aarch64-linux-gnu-g++ qemu-system-aarch64 busybox readelf; do
    command -v $needed >/dev/null || skip "there is no $needed"
done
folder=$("$root/tools/arm64-root") || skip "Debian's packages for arm64 could not be downloaded"
echo "libraries and kernel for arm64: $folder"

cmake -S "$root" -B "$build" --toolchain "$root/tools/aarch64.cmake" -DNEARHEAP_WERROR=ON \
    -DNEARHEAP_TESTS=ON -DNEARHEAP_BENCH=OFF >"$build.log" || {
    cat "$build.log"
    exit 1
}
list=$build/tests/guest_suite
if [ -z "$all" ]; then
    short=$build/tests/guest_suite_short
    mark=$(printf '\037')
    grep -E "^(unit\.|((surface|rules)\.linked|server\.(sequences|thread_destructors))$mark)" "$list" >"$short"
    # Threads enough that CPUs have the caches, and no objects that take long to verify.
    printf '%s\037' stress.small '' "$build/tests/stress" --threads 9 --max-size 65536 >>"$short"
    echo >>"$short"
    list=$short
fi
# What a line of the list names in the build is a target.
targets=(nearheap)
while IFS= read -r name; do targets+=("$name"); done < <(
    tr '\037' '\n' <"$list" | sed -n "s,^$build/tests/,,p" | sed 's,^lib\(.*\)\.so$,\1,' | sort -u
)
cmake --build "$build" --parallel 2 --target "${targets[@]}" >"$build.log" 2>&1 || {
    tail -n 40 "$build.log"
    exit 1
}
exec "$here/../numa/suite.sh" "$root/tools/numa-vm" "$list" --arch aarch64 "$@"
