#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# package_test.sh SOURCE FOLDER: builds the Debian packages in FOLDER, installs them in a
# clean system (tools/debian-root, below an overlay that is gone afterwards), builds and
# runs a program with them, runs every tool, and purges them: nothing is left.
set -euo pipefail
source=$1 folder=$2

fail() { echo "package_test: $*" >&2; exit 1; }
skip() { echo "skipped: $*"; exit 77; }

[ "$(id -u)" = 0 ] || skip "only root can change its root"
for needed in dpkg-shlibdeps gzip unshare debootstrap; do
    command -v $needed >/dev/null || skip "there is no $needed"
done
unshare --mount true 2>/dev/null || skip "nothing can be mounted here"
root=$("$source/tools/debian-root") || skip "there is no clean system"

(cd "$source" && cmake --preset package -B "$folder") >/dev/null
rm -f "$folder"/*.deb
cmake --build "$folder" --target package -j "$(nproc)" >/dev/null
packages=("$folder"/*.deb)
[ ${#packages[@]} = 3 ] || fail "the packages are: ${packages[*]}"
version=$(dpkg-deb -f "${packages[0]}" Version)
read -r changes <"$source/tools/package/changelog"
[ "$changes" = "nearheap ($version) unstable; urgency=medium" ] ||
    fail "the changelog begins with '$changes', and the version is $version"
if command -v lintian >/dev/null; then
    lintian --fail-on error,warning "${packages[@]}" 2>/dev/null || fail "lintian complains"
fi

# What is done inside: the packages are in /tmp.
inside() {
    set -euo pipefail
    export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
    cd /tmp

    # All files but those that dpkg and ldconfig keep of every package.
    files() {
        find / -xdev -path /tmp -prune -o -path /proc -prune -o -path /sys -prune -o \
            -path /var/log/dpkg.log -o \
            -path '/var/lib/dpkg/*' -o -path '/var/cache/ldconfig/*' -o \
            -printf '%y %m %U:%G %p %l\n' | sort
        find /var/lib/dpkg/info
    }
    files >before
    dpkg -i ./*.deb >dpkg.out 2>&1 || { cat dpkg.out; fail "they cannot be installed"; }
    # All there are, so as not to end before the pipe.
    ldconfig -p | grep libnearheap.so.0 >/dev/null || fail "the loader does not know the library"

    cat >user.c <<'END'
#include <nearheap.h>
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    void *p = malloc(100);
    puts(nh_node_of(p) >= 0 ? nh_version() : "not on nearheap");
    free(p);
    return 0;
}
END
    # shellcheck disable=SC2046 # lists of flags
    gcc -fno-builtin user.c -o user $(pkg-config --cflags --libs nearheap)
    # shellcheck disable=SC2046 # the same
    gcc -static -fno-builtin user.c -o static $(pkg-config --static --cflags --libs nearheap) 2>/dev/null
    for program in user static; do
        [ "$(./$program)-1" = "$version" ] || fail "$program says '$(./$program)'"
    done

    # Preloaded by soname, as nearheap.conf does; all that it proposes is taken without a word.
    conf=/usr/share/doc/nearheap-tools/examples/nearheap.conf
    grep -qx 'Environment=LD_PRELOAD=libnearheap.so.0' $conf || fail "what does $conf preload?"
    while read -r setting; do
        said=$(env LD_PRELOAD=libnearheap.so.0 "${setting//%%/%}" true 2>&1)
        [ -z "$said" ] || fail "$setting: $said"
    done < <(sed -n 's/^#\{0,1\}Environment=//p' $conf | tr ' ' '\n' | grep '^NEARHEAP_' |
        sed 's,/var/log/NAME,/tmp,')
    compgen -G 'nearheap.[0-9]*' >/dev/null || fail "no statistics of nearheap.conf's"
    # NEARHEAP_SHARE leaves its user's folder, which is empty when nobody shares any more.
    rmdir /dev/shm/nearheap-0 2>/dev/null || true

    # Every tool has its page and its completion, and runs.
    for tool in /usr/bin/nearheap-*; do
        name=${tool##*/}
        gzip -t "/usr/share/man/man1/$name.1.gz"
        [ -r "/usr/share/bash-completion/completions/$name" ] || fail "no completion of $name"
        "$tool" --help >/dev/null || fail "$name does not run"
    done
    gzip -t /usr/share/man/man[37]/nearheap.*.gz
    [ -r /usr/share/zsh/vendor-completions/_nearheap ] || fail "no completion for zsh"
    nearheap-topo --json | python3 -c 'import json, sys; json.load(sys.stdin)["nodes"]'
    nearheap-run --profile memory --quiet --stats stats --profile-file profile -- ./user >/dev/null
    grep -q live_bytes stats || fail "nearheap-run did not run it on nearheap"
    nearheap-profile totals profile >/dev/null
    nearheap-run --print-unit | grep -q "libnearheap.so.0" || fail "the unit lacks the library"

    dpkg --purge nearheap-tools libnearheap-dev libnearheap0 >dpkg.out 2>&1 ||
        { cat dpkg.out; fail "they cannot be purged"; }
    files >after
    diff before after || fail "purging leaves something, or takes too much"
    ldconfig -p | grep libnearheap >/dev/null && fail "the loader still knows the library"
    echo "package: passed"
}

# A mount namespace of its own: what is mounted there is gone with it.
export version packages_list="${packages[*]}" root
export -f inside fail
# shellcheck disable=SC2016 # expanded there
unshare --mount --propagation private bash -c '
    set -euo pipefail
    top=$(mktemp -d)
    mount -t tmpfs nearheap "$top"
    mkdir "$top/upper" "$top/work" "$top/root"
    mount -t overlay -o "lowerdir=$root,upperdir=$top/upper,workdir=$top/work" nearheap "$top/root" ||
        { echo "skipped: no overlay can be mounted"; exit 77; }
    mount --rbind /proc "$top/root/proc"
    mount --rbind /sys "$top/root/sys"
    cp $packages_list "$top/root/tmp"
    status=0
    env -u LD_LIBRARY_PATH -u LD_PRELOAD chroot "$top/root" bash -c inside || status=$?
    umount -l "$top" && rmdir "$top"
    exit $status'
