#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# check_test.sh TOOLS: what tools/check makes of what it runs, all of which is made up here.
# shellcheck disable=SC2016 # other shells expand these
set -euo pipefail
tools=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LOG=$work/log
mkdir "$work/fakes"

fail() {
    echo "check_test: $*" >&2
    cat "$work/out" "$work/err" >&2
    exit 1
}
# made_up NAME: a program of the lines that follow.
made_up() {
    cat >"$work/fakes/$1"
    chmod +x "$work/fakes/$1"
}
for name in cmake pkg-config clang-format cppcheck clang-tidy; do
    made_up $name <<<'#!/bin/sh'
done
for name in cc c++; do
    made_up $name <<<'#!/bin/sh
for last in "$@"; do :; done
echo "compiled $last" >>"$LOG"'
done
# With an analyzer, and without the header of curses.
made_up gcc <<<'#!/bin/sh
case " $* " in
" -dumpversion ") echo 12 ;;
*" -include curses.h "*) exit 1 ;;
*" -fanalyzer "*)
    for last in "$@"; do :; done
    echo "analyzed $last" >>"$LOG"
    ;;
esac'
made_up ctest <<'END'
#!/bin/sh
echo "tested, installing nothing: ${TOOLS_NO_INSTALL-no}" >>"$LOG"
printf '%s\n' "1/2 Test #1: unit.one .......   Passed    0.01 sec" "$SECOND"
exit "$STATUS"
END
for name in apt-get sudo; do
    made_up $name <<<'#!/bin/sh
echo "as root: $*" >>"$LOG"'
done

# check_ends STATUS SUM TESTED-STATUS SECOND-LINE
check_ends() {
    local found=0
    : >"$LOG"
    PATH=$work/fakes:$PATH STATUS=$3 SECOND=$4 "$tools/check" --no-install --builds plain \
        >"$work/out" 2>"$work/err" || found=$?
    [ $found = "$1" ] || fail "status $found, not $1, where ctest's is $3"
    [ "$(tail -n 1 "$work/out")" = "$2" ] || fail "not '$2', where ctest's status is $3"
}

# Beside the tests: headers, analyzer; format, cppcheck and tidy are left out.
check_ends 0 "4 passed, 0 failed, 3 skipped" 0 "2/2 Test #2: unit.two .......   Passed    0.01 sec"
check_ends 1 "3 passed, 1 failed, 3 skipped" 8 "2/2 Test #2: unit.two .......***Failed    0.01 sec"
grep -q '^plain: FAILED: unit.two$' "$work/out" || fail "what failed is not named"
check_ends 0 "3 passed, 0 failed, 4 skipped" 0 "2/2 Test #2: unit.two .......***Skipped   0.01 sec"
check_ends 1 "3 passed, 1 failed, 3 skipped" 139 ""
grep -q "^plain: ended early: ctest's status is 139" "$work/out" || fail "a crash is not told of"

grep -q '^tested, installing nothing: yes$' "$LOG" || fail "tests may install"
! grep '^as root' "$LOG" || fail "something was done as root"
for name in include/nearheap.h src/options.h tools/output.h bench/bench.h tests/unit.h; do
    grep -qx "compiled $name" "$LOG" || fail "$name was not compiled by itself"
done
grep -qx 'analyzed tools/topo.c' "$LOG" || fail "the tools were not analyzed"
! grep 'analyzed tools/top_screen.c' "$LOG" || fail "a source was analyzed that cannot be compiled"
grep -qx 'tidy, analyzer: left out: tools/top_screen.c: there is no <curses.h>' "$work/out" ||
    fail "nothing says what was left out"
echo "check_test: passed"
