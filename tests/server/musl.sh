#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# musl.sh SOURCE FOLDER: builds the libraries for musl in FOLDER, and runs server/musl.c
# on them: with the shared one preloaded, and wholly static.  That nearheap served it its
# statistics tell.
set -euo pipefail
source=$(realpath "$1") folder=$2

skip() { echo "skipped: $*"; exit 77; }
command -v musl-gcc >/dev/null || skip "there is no musl-gcc (Debian: musl-tools)"

# musl-gcc looks at musl's own headers only: the kernel's and hwloc's, which are right for any
# C library, are shown to it by links.
headers=$folder/headers
mkdir -p "$headers/machine"
folder=$(realpath "$folder") headers=$folder/headers
machine=/usr/include/$(cc -print-multiarch)
ln -sfn /usr/include/{linux,asm-generic,hwloc,hwloc.h} "$headers"
ln -sfn "$machine"/{asm,hwloc} "$headers/machine"
for needed in linux/futex.h hwloc.h machine/asm/unistd.h; do
    [ -e "$headers/$needed" ] || skip "there is no ${needed#machine/} below /usr/include"
done

# Of musl's macros CMSG_NXTHDR converts a sign.
cmake -S "$source" -B "$folder" -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER=musl-gcc \
    -DCMAKE_C_FLAGS="-idirafter $headers -idirafter $headers/machine -Wno-sign-conversion" \
    -DNEARHEAP_WERROR=ON -DNEARHEAP_TESTS=OFF -DNEARHEAP_BENCH=OFF >/dev/null
cmake --build "$folder" --target nearheap nearheap_static -j "$(nproc)" >/dev/null

flags=(-std=gnu17 -D_GNU_SOURCE -DNH_TEST_GLIBC -O1 -fno-builtin -Wall -Wextra -Werror -pthread)
musl-gcc "${flags[@]}" "$source/tests/server/musl.c" -o "$folder/dynamic"
musl-gcc "${flags[@]}" -static "$source/tests/server/musl.c" "$folder/libnearheap.a" \
    -o "$folder/static"

# served WHAT PROGRAM [PRELOAD]: it verifies all, and its objects are nearheap's.
served() {
    local printed objects
    rm -f "$folder/stats"
    printed=$(LD_PRELOAD=${3-} NEARHEAP_STATS=$folder/stats NEARHEAP_STATS_FORMAT=json "$2")
    [ "$printed" = verified ] || { echo "$1: printed '$printed'" >&2; exit 1; }
    objects=$(grep -o '"refilled_objects": [0-9]*' "$folder/stats" |
        awk '{ sum += $2 } END { print sum }') || { echo "$1: no statistics" >&2; exit 1; }
    [ "$objects" -ge 1000 ] || { echo "$1: nearheap gave out $objects objects" >&2; exit 1; }
    echo "$1: contents verified, $objects objects taken out of nearheap's spans"
}

served "preloaded" "$folder/dynamic" "$folder/libnearheap.so"
served "static" "$folder/static"
