# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034 # whoever sources it uses what is set
#
# lib.sh - what the shell scripts here share: progress, quiet steps, packages.
# Sourced, by scripts that have set -euo pipefail.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
script=$(basename "$0")
readonly script

# A folder for this run's logs and temporary files; gone at its end.
work=$(mktemp -d "${TMPDIR:-/tmp}/nearheap-$script.XXXXXX")
readonly work
trap 'rm -rf "$work"' EXIT

# Where progress goes: 2 in scripts whose standard output is another's.
progress=1
# What die ends the script with.
die_status=1

# say WORD...: a line of progress, with the seconds since the start.
say() {
    printf '[%4d s] %s\n' "$SECONDS" "$*" >&"$progress"
}

die() {
    printf '%s: %s\n' "$script" "$*" >&2
    exit "$die_status"
}

# quietly WHAT COMMAND...: says WHAT and runs the command; its output is shown
# only if it fails, and then what matters of it, which is looked for in English.
# Returns the command's status.
quietly() {
    local what=$1 status=0
    shift
    say "$what"
    LC_ALL=C "$@" >"$work/log" 2>&1 </dev/null || status=$?
    if [ $status != 0 ]; then
        say "$what: failed with status $status; its output:"
        if [ "$(wc -l <"$work/log")" -le 60 ]; then
            cat "$work/log"
        else
            # Of a parallel build the error itself may be far from the end.
            grep -m 10 -A 5 -E 'error: |Error [0-9]|^E: ' "$work/log" || true
            echo "... and at its end:"
            tail -n 30 "$work/log"
        fi >&"$progress"
    fi
    return $status
}

# cache_folder: where what was downloaded is kept.  Not in /tmp, where others could have put
# something for us: whose it is has to be said.
cache_folder() {
    [ -n "${XDG_CACHE_HOME-}${HOME-}" ] ||
        die "set HOME, or XDG_CACHE_HOME: there is no folder for what is downloaded"
    echo "${XDG_CACHE_HOME:-$HOME/.cache}/nearheap"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# missing_packages NAME...: those of the Debian packages that are not installed.
missing_packages() {
    local name
    for name in "$@"; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" != installed ]; then
            printf '%s ' "$name"
        fi
    done
}

# apt_has_lists: whether apt was ever told what there is.
apt_has_lists() {
    LC_ALL=C apt-cache policy 2>/dev/null | grep -q ' Packages$'
}

# known_packages NAME...: those that this release of Debian has, by apt's lists.
known_packages() {
    local name policy
    for name in "$@"; do
        policy=$(LC_ALL=C apt-cache policy "$name" 2>/dev/null) || continue
        case $policy in
        *'Candidate: (none)'* | '') ;;
        *) printf '%s ' "$name" ;;
        esac
    done
}

# kernel_package NAME: the package of a kernel that Debian's package NAME stands for.
kernel_package() {
    LC_ALL=C apt-cache depends "$1" 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9]\)/\1/p' | head -n 1
}

# private_apt ARCH: from here on apt is for this architecture, with lists of its own, and as if
# nothing were installed; it takes no root, and the system's own apt learns of nothing.
private_apt() {
    local state=$work/apt
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
    touch "$state/status"
    cat >"$state/conf" <<END
APT::Architecture "$1";
APT::Architectures { "$1"; };
APT::Sandbox::User "";
Dir::State::lists "$state/lists";
Dir::State::status "$state/status";
Dir::Cache "$state/cache";
END
    export APT_CONFIG=$state/conf
}

# Packages that would start a server and have it started at every boot, and those servers'
# services.
readonly package_services="redis-server:redis-server memcached:memcached postgresql:postgresql
    mariadb-server:mariadb nginx-light:nginx"

# apt-get install of "$@".  Nobody asked for servers that run: they are kept from it,
# now and at every boot.
apt_install() (
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        trap 'as_root rm -f $policy' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null || exit
        as_root chmod 755 $policy || exit
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 \
        install -y --no-install-recommends "$@" || exit
    [ -d /run/systemd/system ] || exit 0
    for pair in $package_services; do
        case " $* " in *" ${pair%%:*} "*) as_root systemctl disable "${pair#*:}" || exit ;; esac
    done
)

# install_nothing: what --no-install does: this script, and those that it starts, go on with
# what is there.  The variable is no NEARHEAP_..., which would be an option of the library's.
install_nothing() {
    export TOOLS_NO_INSTALL=yes
}

# need_packages NAME...: installs the Debian packages that are missing, or ends
# the script with what to do.  A name after "?" is only wished for: the script
# goes on without it.
need_packages() {
    local name required='' wished=''
    [ -z "${TOOLS_NO_INSTALL-}" ] || return 0
    for name in "$@"; do
        case $name in
        \?*) wished+=" ${name#\?}" ;;
        *) required+=" $name" ;;
        esac
    done
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        [ -n "$required" ] || {
            say "this is no Debian-like system; going on without what is missing of:$wished"
            return 0
        }
        die "this is no Debian-like system: install what these packages hold by its own means," \
            "then run $script --no-install:$required"
    fi
    # shellcheck disable=SC2086 # here and below: names of packages, one word each
    required=$(missing_packages $required) wished=$(missing_packages $wished)
    # What this release does not have is worth no password; without lists nobody knows.
    # shellcheck disable=SC2086 # names of packages
    [ -z "$wished" ] || ! apt_has_lists || wished=$(known_packages $wished)
    [ -n "$required$wished" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        say "packages are missing, sudo may ask for your password: $required$wished"
        if ! command -v sudo >/dev/null || ! sudo -v; then
            [ -z "$required" ] || die "only root may install packages; have root run:" \
                "apt-get install --no-install-recommends $required"
            say "going on without them"
            return 0
        fi
    fi
    quietly "updating the package lists" as_root apt-get -o DPkg::Lock::Timeout=120 update ||
        say "going on with the lists that are there"
    # shellcheck disable=SC2086 # names of packages
    wished=$(known_packages $wished)
    [ -n "$required$wished" ] || return 0
    # shellcheck disable=SC2086 # names of packages
    quietly "installing $required$wished" apt_install $required $wished ||
        die "could not install packages; try: apt-get install --no-install-recommends" \
            "$required$wished"
}

# need_program PROGRAM PACKAGE: one that may come from elsewhere than from Debian's package,
# which is installed only where there is no such program.
need_program() {
    command -v "$1" >/dev/null || need_packages "$2"
    command -v "$1" >/dev/null || die "there is no $1 (Debian: $2)"
}

# What configuring and building everything takes.
readonly build_packages="gcc g++ make cmake pkg-config libhwloc-dev libbenchmark-dev libcmocka-dev ?systemtap-sdt-dev
    ?libncurses-dev"
# What the comparing scripts and the tests with a real server take.
readonly server_packages="python3 redis-server redis-tools"
# More servers, for tests/servers and bench/servers.
readonly more_server_packages="?memcached ?postgresql ?mariadb-server ?sysbench ?nginx-light
    ?apache2-utils ?librocksdb-dev ?libsqlite3-dev ?nodejs"

jobs=$(nproc)
