#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# install_test.sh BUILD: installs the build into a temporary place, and builds
# and runs a small program against it by pkg-config and by its CMake package.
set -euo pipefail
build=$1
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$build" --prefix "$prefix/usr" >/dev/null
lib=$(dirname "$(find "$prefix/usr" -name libnearheap.a)")

mkdir "$prefix/user" && cd "$prefix/user"
cat >user.c <<'END'
#include <nearheap.h>
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    void *p = malloc(100);
    printf("%s\n", nh_node_of(p) >= 0 ? "on nearheap" : "not on nearheap");
    free(p);
    return nh_node_of(p) == -2;
}
END
cat >apart.c <<'END'
#include <nearheap.h>
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    void *p = malloc(100), *q = nh_malloc(100);
    printf("%s\n", nh_node_of(p) < 0 && nh_node_of(q) >= 0 ? "apart" : "mixed");
    free(p);
    nh_free(q);
    return 0;
}
END
expect() { [ "$1" = "$2" ] || { echo "$3: '$1', not '$2'" >&2; exit 1; }; }

# pkg-config, in a place that the build did not know.
export PKG_CONFIG_PATH=$lib/pkgconfig
# shellcheck disable=SC2046 # a list of flags
cc -fno-builtin user.c -o by_pkg_config $(pkg-config --cflags --libs nearheap)
expect "$(LD_LIBRARY_PATH=$lib ./by_pkg_config)" "on nearheap" pkg-config

# CMake package.
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.20)
project(user LANGUAGES C)
find_package(nearheap 0.1 REQUIRED)
foreach(kind nearheap nearheap_static)
    add_executable(by_${kind} user.c)
    target_compile_options(by_${kind} PRIVATE -fno-builtin)
    target_link_libraries(by_${kind} PRIVATE nearheap::${kind})
endforeach()
add_executable(by_nearheap_noreplace apart.c)
target_link_libraries(by_nearheap_noreplace PRIVATE nearheap::nearheap_noreplace)
END
cmake -S . -B b -DCMAKE_PREFIX_PATH="$prefix/usr" >/dev/null
cmake --build b >/dev/null
expect "$(b/by_nearheap)" "on nearheap" "CMake, shared"
expect "$(b/by_nearheap_static)" "on nearheap" "CMake, static"
expect "$(b/by_nearheap_noreplace)" "apart" "CMake, noreplace"

# The soname, and nothing exported that is not meant to be.
expect "$(readelf -d "$lib/libnearheap.so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')" libnearheap.so.0 soname
strange=$(nm -D --defined-only "$lib/libnearheap.so" | awk '{ sub(/@.*/, "", $3); print $3 }' |
    grep -vxE 'nh_[a-z_]+|_Z(nw|na|dl|da).*|malloc|calloc|realloc|reallocarray|free|free_sized|free_aligned_sized|posix_memalign|aligned_alloc|memalign|valloc|pvalloc|malloc_(usable_size|trim|stats|info)|mallopt|mallinfo2?' || true)
expect "$strange" "" "exported beside the family"
for name in malloc free calloc realloc posix_memalign aligned_alloc malloc_usable_size _Znwm _ZdlPvm nh_malloc; do
    nm -D --defined-only "$lib/libnearheap.so" | grep -q " $name\$" || { echo "$name is not exported" >&2; exit 1; }
done

# Where a zsh of the place that the build is for looks for completion.
place=$(sed -n 's/^CMAKE_INSTALL_PREFIX:PATH=//p' "$build/CMakeCache.txt")
if command -v zsh >/dev/null && { [ "$place" = /usr ] || [ "$place" = /usr/local ]; }; then
    found=$(cd "$prefix/usr" && find share/zsh -name _nearheap)
    # shellcheck disable=SC2016 # zsh's own
    zsh -fc 'print -l $fpath' | grep -x "$place/${found%/*}" >/dev/null ||
        { echo "zsh does not look in $place/${found%/*}" >&2; exit 1; }
fi
echo "install: passed"
