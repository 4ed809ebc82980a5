#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# scripts_test.sh TOOLS: what the shell scripts in the folder TOOLS share, and what numa-vm makes
# of the machine here.  Debian's programs, sudo and QEMU are made up: nothing is installed, and
# no guest is started.
# shellcheck disable=SC2016 # other shells expand these
set -euo pipefail
tools=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset TOOLS_NO_INSTALL LC_ALL LANGUAGE
export LOG=$work/log INSTALLED='' KNOWN='' LISTS=yes
mkdir "$work/fakes" "$work/few" "$work/machine"

fail() {
    echo "scripts_test: $*" >&2
    cat "$work/out" "$work/err" "$LOG" >&2
    exit 1
}
# made_up FOLDER NAME: a program there, of the lines that follow.
made_up() {
    cat >"$work/$1/$2"
    chmod +x "$work/$1/$2"
}
# status EXPECTED COMMAND...
status() {
    local expected=$1 found=0
    shift
    : >"$LOG"
    "$@" >"$work/out" 2>"$work/err" </dev/null || found=$?
    [ "$found" = "$expected" ] || fail "$*: status $found, not $expected"
}
# library PATH WORD...: a script that has lib.sh does so.
library() {
    local path=$1
    shift
    PATH=$path "$BASH" -c 'set -euo pipefail; source "$1/lib.sh"; shift; "$@"' a_script "$tools" "$@"
}
# asked TEXT: what was done as root; "" for nothing.  How services are kept from starting
# depends on the machine.
asked() {
    [ "$(sed -E '/^(tee|chmod|rm|systemctl) /d' "$LOG" | paste -sd ,)" = "$1" ] ||
        fail "$last: not '$1' was done"
}

made_up fakes id <<<'#!/bin/sh
echo 1000'
made_up fakes sudo <<<'#!/bin/sh
echo "$@" | sed "s/-o [^ ]* //" >>"$LOG"'
made_up fakes apt-get <<<'#!/bin/sh
echo "not as root: $*" >>"$LOG"'
made_up fakes dpkg-query <<<'#!/bin/sh
for name in "$@"; do :; done
case " $INSTALLED " in *" $name "*) printf installed ;; esac'
# As apt says it in German, unless it is asked for English.
made_up fakes apt-cache <<'END'
#!/bin/sh
if [ "${LC_ALL-}" = C ]; then
    candidate=Candidate none='(none)' depends=Depends packages=Packages
else
    candidate=Installationskandidat none='(keine)' depends='Hängt ab von' packages=Pakete
fi
case $1:${2-} in
policy:) [ -z "$LISTS" ] || echo " 500 http://deb.example/debian stable/main amd64 $packages" ;;
policy:*)
    case " $KNOWN " in
    *" $2 "*) printf '%s:\n  %s: 1.0\n' "$2" $candidate ;;
    *) printf '%s:\n  %s: %s\n' "$2" $candidate "$none" ;;
    esac
    ;;
depends:*) printf '%s\n  %s: linux-image-6.1-cloud\n' "$2" "$depends" ;;
esac
END
fakes=$work/fakes:$PATH
for program in bash basename cat cut dirname mktemp nproc rm uname; do
    ln -s "$(command -v $program)" "$work/few/$program"
done

# What apt says is understood in any language.
export LANG=de_DE.UTF-8 KNOWN="one two"
last="the packages known"
status 0 library "$fakes" known_packages one none two
[ "$(cat "$work/out")" = "one two " ] || fail "$last"
last="the kernel's package"
status 0 library "$fakes" kernel_package linux-image-cloud-amd64
[ "$(cat "$work/out")" = linux-image-6.1-cloud ] || fail "$last"
status 1 library "$fakes" quietly step sh -c 'echo "language: $LC_ALL"; exit 1'
grep -q '^language: C$' "$work/out" || fail "steps do not speak English"

# Nobody is asked for a password in vain.
last="nothing is missing"
INSTALLED=three status 0 library "$fakes" need_packages three
asked ""
last="what this release does not have"
status 0 library "$fakes" need_packages '?none'
asked ""
last="what it has"
status 0 library "$fakes" need_packages '?none' '?two'
install="env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends"
asked "-v,apt-get update,$install two"
last="where apt has no lists"
LISTS='' KNOWN='' status 0 library "$fakes" need_packages '?two'
asked "-v,apt-get update"
last="told to install nothing"
TOOLS_NO_INSTALL=yes status 0 library "$fakes" need_packages one '?two'
asked ""
last="a program from elsewhere"
status 0 library "$fakes" need_program sh one
asked ""
last="a program that is missing"
TOOLS_NO_INSTALL=yes status 1 library "$fakes" need_program no-such-program one
grep -q 'there is no no-such-program (Debian: one)' "$work/err" || fail "$last"
asked ""

# A system without apt.
status 0 library "$work/few" need_packages '?one'
status 1 library "$work/few" need_packages one '?two'
grep -q -- 'then run a_script --no-install: one$' "$work/err" || fail "no advice"

# numa-vm: whatever fails before there is a guest.
for wrong in --moon "--nodes 0 -- true" "-- $work/none" "--kernel $work/none -- true" \
    "--kernel /dev/null --arch vax -- true"; do
    # shellcheck disable=SC2086 # words of its command line
    status 125 env PATH="$fakes" "$tools/numa-vm" --no-install $wrong
done
status 125 env TMPDIR="$work/none" "$tools/numa-vm" --help
status 0 "$tools/numa-sim" --no-install --help
status 125 env PATH="$work/few" "$tools/numa-vm" --no-install --kernel "$tools/lib.sh" -- cat
grep -q 'there is no qemu-system-' "$work/err" || fail "numa-vm: QEMU is not missed"
status 125 env PATH="$fakes" "$tools/numa-vm" --no-install --nodes 2 --distances bogus \
    --kernel "$tools/lib.sh" -- true

# And what the guest has.
BUSYBOX=$(command -v busybox) || {
    echo "scripts_test: there is no busybox, to look into what a guest has"
    exit 77
}
export BUSYBOX LISTING=$work/listing
ln -s "$BUSYBOX" "$work/machine/busybox"
made_up machine "qemu-system-$(uname -m)" <<'END'
#!/bin/sh
while [ $# -gt 0 ]; do
    [ "$1" != -initrd ] || "$BUSYBOX" cpio -t <"$2" >"$LISTING" 2>/dev/null
    shift
done
printf '\002\nof the command\n\001%d\n' 7
END
printf '#!/bin/sh\n' >"$work/program"
chmod +x "$work/program"
vm=("$tools/numa-vm" --nodes 1 --kernel "$tools/lib.sh" -- "$work/program")
# holds NAME: the guest's memory does.
holds() { grep -q "/$1\$" "$LISTING"; }

# A kernel is looked for without root, with lists that are older or newer.
status 125 env PATH="$work/machine:$fakes" XDG_CACHE_HOME="$work/cache" "$tools/numa-vm" -- true
grep -q "could not download a kernel" "$work/err" || fail "no kernel is missed"
[ "$(paste -sd , "$LOG")" = "not as root: download linux-image-6.1-cloud,not as root: update,\
not as root: download linux-image-6.1-cloud" ] || fail "a kernel is looked for in another way"

# As of a user on Debian, whose PATH has no sbin; the program itself needs no library.
plain=$(tr : '\n' <<<"$PATH" | grep -v sbin | paste -sd :)
status 7 env PATH="$work/machine:$work/fakes:$plain" INSTALLED= "${vm[@]}"
asked ""
[ "$(cat "$work/out")" = "of the command" ] || fail "numa-vm prints more than the command does"
for name in libhwloc.so.15 libgcc_s.so.1; do
    holds $name || grep -q "there is no $name here" "$work/err" || fail "the guest lacks $name"
done
holds libgcc_s.so.1 || fail "the guest has none of the libraries that programs open"

# Where there are no such libraries; and a busybox that is not static, which env plays here.
made_up machine ldconfig <<<'#!/bin/sh'
made_up machine cpio <<<'#!/bin/sh
exec "$BUSYBOX" cpio "$@"'
cp --remove-destination "$(command -v env)" "$work/machine/busybox"
status 7 env PATH="$work/machine:$work/fakes:$PATH" "${vm[@]}"
grep -q 'there is no libhwloc.so.15 here' "$work/err" || fail "nothing says what the guest lacks"
[ "$(cat "$work/out")" = "of the command" ] || fail "numa-vm prints more than the command does"
holds libc.so.6 || fail "the guest's busybox lacks its libraries"
echo "scripts_test: passed"
