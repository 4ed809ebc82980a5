#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# abi_test.sh SOURCE FOLDER [--update]: what libnearheap.so promises to programs that were
# linked before, its symbols and the types of include/nearheap.h, is what
# tests/abi/SONAME.xml says.  The library is built in FOLDER, with what debuggers need.
# --update writes the file anew.
set -euo pipefail
source=$(realpath "$1") folder=$2 update=${3-}

skip() { echo "skipped: $*"; exit 77; }
for needed in abidw abidiff; do
    command -v $needed >/dev/null || skip "there is no $needed (Debian: abigail-tools)"
done
[ "$(uname -m)" = x86_64 ] || skip "what is promised is written down for x86-64"

cmake -S "$source" -B "$folder" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DNEARHEAP_TESTS=OFF \
    -DNEARHEAP_BENCH=OFF -DNEARHEAP_SANITIZE= >/dev/null
cmake --build "$folder" --target nearheap -j "$(nproc)" >/dev/null
library=$folder/libnearheap.so
soname=$(readelf -d "$library" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
promised=$source/tests/abi/$soname.xml
here=$folder/here.xml
abidw --headers-dir "$source/include" --drop-private-types --exported-interfaces-only \
    --no-corpus-path --no-comp-dir-path --no-show-locs --no-elf-needed --type-id-style hash \
    --out-file "$here" "$library"
sed -i "s, path='$source/, path='," "$here" # wherever the sources lie
if [ "$update" = --update ]; then
    cp "$here" "$promised"
    exit 0
fi
[ -e "$promised" ] || { echo "there is no $promised: see tests/README.md" >&2; exit 1; }

# abidiff's status is of bits: 1 and 2 it could not compare, 4 there are differences, 8
# some of them break programs for certain.
status=0
abidiff "$promised" "$here" || status=$?
case $status in
0) echo "abi: as promised" ;;
[123]) echo "abidiff failed with status $status" >&2 ;;
*)
    cat >&2 <<TEXT
The library is not what $soname promised.  If all of it is new functions, or new members at
the ends of structures that have struct_size, raise the minor version and write it down:
    tests/abi/abi_test.sh . build/tests/abi --update
Else programs break: raise NEARHEAP_SOVERSION in CMakeLists.txt, remove $soname.xml, and do
the same.
TEXT
    ;;
esac
exit $status
