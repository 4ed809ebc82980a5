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
# A server's own helpers, of names that the engine has, too, and its own probe for tracers.
cat >helpers.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#else
#define STAP_PROBE(provider, name)
#endif
const char *read_file(void) { return "own names"; }
void log_line(const char *text) { puts(text); }
int main(void)
{
    free(malloc(100));
    free(malloc(40 << 20));
    STAP_PROBE(helpers, done);
    log_line(read_file());
    return 0;
}
END
expect() { [ "$1" = "$2" ] || { echo "$3: '$1', not '$2'" >&2; exit 1; }; }

# pkg-config, in a place that the build did not know.
export PKG_CONFIG_PATH=$lib/pkgconfig
# shellcheck disable=SC2046 # a list of flags
cc -fno-builtin user.c -o by_pkg_config $(pkg-config --cflags --libs nearheap)
expect "$(LD_LIBRARY_PATH=$lib ./by_pkg_config)" "on nearheap" pkg-config
# Another build, configured only: its library is to lie at a full path, which is told as it is.
source=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$build/CMakeCache.txt")
cmake -S "$source" -B full -DNEARHEAP_TESTS=OFF -DNEARHEAP_BENCH=OFF \
    -DCMAKE_INSTALL_PREFIX=/opt/nearheap -DCMAKE_INSTALL_LIBDIR=/opt/lib >/dev/null
said=$(PKG_CONFIG_PATH=full pkg-config --cflags --libs nearheap)
read -r said <<<"$said"
expect "$said" "-I/opt/nearheap/include -L/opt/lib -lnearheap" "pkg-config, a full path"

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
add_executable(helpers helpers.c)
target_compile_options(helpers PRIVATE -fno-builtin)
target_link_libraries(helpers PRIVATE nearheap::nearheap_static)
END
cmake -S . -B b -DCMAKE_PREFIX_PATH="$prefix/usr" >/dev/null
cmake --build b >/dev/null
expect "$(b/by_nearheap)" "on nearheap" "CMake, shared"
expect "$(b/by_nearheap_static)" "on nearheap" "CMake, static"
expect "$(b/by_nearheap_noreplace)" "apart" "CMake, noreplace"
expect "$(b/helpers)" "own names" "CMake, static, with functions of the engine's names"

# The soname, and nothing exported that is not meant to be (src/nearheap.map).
expect "$(readelf -d "$lib/libnearheap.so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')" libnearheap.so.0 soname
ours='nh_[a-z_]+'
family='_Z(nw|na|dl|da).*|malloc|calloc|realloc|reallocarray|free|free_sized|free_aligned_sized|posix_memalign|aligned_alloc|memalign|valloc|pvalloc|malloc_(usable_size|trim|stats|info)|mallopt|mallinfo2?'
# nothing_but NAMES FILE NM-OPTION: the file gives who links it no other names.
nothing_but() {
    local names strange
    names=$(nm "$3" --defined-only "$lib/$2" | awk 'NF == 3 { sub(/@.*/, "", $3); print $3 }')
    grep -qx nh_malloc <<<"$names" || { echo "$2 does not export nh_malloc" >&2; exit 1; }
    strange=$(grep -vxE "$1" <<<"$names" || true)
    expect "$strange" "" "$2: exported beside its names"
}
nothing_but "$ours|$family" libnearheap.so -D
# sys/sdt.h's, of each program's one, may be there, too.
nothing_but "$ours|$family|_\.stapsdt\.base" libnearheap.a -g
nothing_but "$ours|_\.stapsdt\.base" libnearheap_noreplace.a -g
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
