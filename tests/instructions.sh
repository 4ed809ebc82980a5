#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Counts the instructions of one malloc and free, or operator new and sized delete, with
# callgrind, and compares them with tests/instructions.budget.  The counts do not depend on
# the machine's load, so a change of a single instruction shows.
#
# Two runs that differ only in their repetitions are subtracted, so start-up and
# exit cancel out.  What is left is a pair with its share of the loop: with a
# malloc and a free that do nothing at all (three instructions together) the
# first row counts 16.1, so the loop and the calls themselves are 13 of each
# figure.  Of the others on the day this was written: mimalloc 2.0.9 57.1,
# tcmalloc 2.10 80.1, jemalloc 5.3 80.7, glibc 2.36 190.0.
#
# Under valgrind there is no rseq, so these are the fast paths of threads' caches;
# those of CPUs' cost six more.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
budget=$here/instructions.budget
library=$here/../build/libnearheap.so
program=
mode=compare
readonly slack=3 # what --record allows above the count
# What a profile may add to a pair: an instruction, and a few at each refill; past 1 KiB, where
# bytes are counted and not calls, two.
readonly profile_most=1.2
readonly profile_most_medium=2.2
# What a sample of 64 bytes may cost, its share of what is looked at and not sampled
# included: 7000, with the unwinder at each 22,000.
readonly sample_most=10000
# Mean distance of samples then, in bytes.
readonly sample_distance=8192

# size:live:limit - limits that --record never lifts, whatever it counts.
hard_limits="64:100:52 16:1000:56 1024:100:60 40000:10:120"
# The same for a compiler that the budget was not recorded with.
hard_limits_elsewhere="64:100:60 16:1000:65 1024:100:64 40000:10:120"

usage() {
    cat <<END
usage: instructions.sh [--lib PATH] [--program PATH] [--hard | --record | --profiled |
                       --hardened]
       instructions.sh --allocator PATH [--program PATH]

  --lib PATH        nearheap's library (default: build/libnearheap.so)
  --program PATH    tests/instructions.c, compiled (default: compiled now by \$CC or cc)
  --hard            compare with wider limits ($hard_limits_elsewhere,
                    as size:live:limit): for a compiler that the budget was not
                    recorded with
  --record          write the counts into instructions.budget, with limits of
                    $slack more, instead of comparing; say in the commit why they changed
  --profiled        compare the counts while a heap profile is taken, of which no sample is
                    due, with those without: at most $profile_most more, and
                    $profile_most_medium past 1 KiB; and count what a sample costs: at most
                    $sample_most
  --hardened        print the counts in a hardened process, too; only those without are compared
  --allocator PATH  print the counts of another malloc; nothing is compared

Status 0: within the budget; 1: over it, or a run failed; 77: there is no valgrind.
END
}

die() {
    echo "instructions.sh: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
    --lib | --program | --allocator)
        [ $# -ge 2 ] || die "$1 needs a path; see --help"
        case $1 in
        --lib) library=$2 ;;
        --program) program=$2 ;;
        --allocator) library=$2 mode=print ;;
        esac
        shift
        ;;
    --hard) mode=hard hard_limits=$hard_limits_elsewhere ;;
    --record) mode=record ;;
    --profiled) mode=profiled ;;
    --hardened) mode=hardened ;;
    --help | -h)
        usage
        exit 0
        ;;
    *) die "unknown argument '$1'; see --help" ;;
    esac
    shift
done

if ! command -v valgrind >/dev/null; then
    echo "instructions.sh: skipped: no valgrind (Debian: apt-get install valgrind)"
    exit 77
fi
[ -e "$library" ] || die "no library $library: build it, or name it with --lib"
library=$(realpath "$library")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -z "$program" ]; then
    program=$work/instructions
    "${CC:-cc}" -std=gnu17 -O2 -fno-builtin "$here/instructions.c" -o "$program"
fi
loader=$(LC_ALL=C readelf -l "$program" | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
[ -n "$loader" ] || die "$program names no dynamic loader; is it statically linked?"

# The user's own settings must not change the counts.
for variable in $(compgen -e | grep '^NEARHEAP_' || true); do
    unset "$variable"
done
# Differences of an instruction should not hang on whether time has work to do, on a busy
# machine, in one of the runs that are compared.
if [ $mode = profiled ]; then
    export NEARHEAP_DECAY=-1
fi

# count CALLS SIZE LIVE REPETITIONS: instructions of the whole run.  The loader
# preloads the library itself, so that valgrind's own programs do not get it.
count() {
    if ! valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        "$loader" --preload "$library" "$program" "$@" >"$work/log" 2>&1; then
        echo "instructions.sh: the run with arguments $* failed:" >&2
        cat "$work/log" >&2
        return 1
    fi
    sed -n 's/.*Collected : *//p' "$work/log"
}

# per_pair CALLS SIZE LIVE: prints the instructions of a pair, with one decimal.
per_pair() {
    local warm more first second
    # By then magazines and depots have grown to what the loop demands.
    warm=$((40000 / $3))
    more=$((20000 / $3))
    first=$(count "$1" "$2" "$3" "$warm")
    second=$(count "$1" "$2" "$3" $((warm + more)))
    awk -v a="$first" -v b="$second" -v n=$((more * $3)) 'BEGIN { printf "%.1f\n", (b - a) / n }'
}

# Whether the allocator has operator new and sized delete.
has_new() { nm -D --defined-only "$library" | grep -q ' _ZdlPvm\(@\|$\)'; }

hard_limit() {
    local entry
    for entry in $hard_limits; do
        [ "malloc:${entry%:*}" = "$1:$2:$3" ] && echo "${entry##*:}" && return
    done
    echo -
}

over() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a > b) }'; }

status=0
loose=
rows=$work/rows
echo "instructions of one malloc and free, loop and calls included: $library"
printf '%8s %8s %8s %10s' calls size live counted
case $mode in
compare) printf ' %10s %8s\n' recorded limit ;;
hardened) printf ' %10s %8s %10s\n' recorded limit hardened ;;
hard) printf ' %10s %8s\n' '' limit ;;
profiled) printf ' %10s\n' profiled ;;
*) echo ;;
esac
while read -r calls size live recorded limit; do
    case $calls in '' | '#'*) continue ;; esac
    case $mode:$calls:$size:$live in
    profiled:malloc:64:100 | profiled:malloc:16:1000 | profiled:malloc:4096:100) ;;
    profiled:*) continue ;; # each takes four runs
    esac
    if [ $mode = print ] && [ "$calls" = new ] && ! has_new; then
        continue
    fi
    counted=$(per_pair "$calls" "$size" "$live")
    hard=$(hard_limit "$calls" "$size" "$live")
    printf '%8s %8s %8s %10s' "$calls" "$size" "$live" "$counted"
    case $mode in
    print) echo ;;
    profiled)
        profiled=$(NEARHEAP_PROFILE=$work/profile NEARHEAP_PROFILE_RATE=1024g \
            per_pair "$calls" "$size" "$live")
        printf ' %10s' "$profiled"
        most=$profile_most
        [ "$size" -le 1024 ] || most=$profile_most_medium
        if over "$profiled" "$(awk -v a="$counted" -v b=$most 'BEGIN { print a + b }')"; then
            printf '  OVER THE LIMIT'
            status=1
        fi
        echo
        if [ "$size" = 64 ]; then
            sampled=$(NEARHEAP_PROFILE=$work/profile NEARHEAP_PROFILE_RATE=$sample_distance \
                per_pair "$calls" "$size" "$live")
            sample=$(awk -v a="$profiled" -v b="$sampled" -v d=$sample_distance -v s="$size" \
                'BEGIN { printf "%.0f", (b - a) * d / s }')
        fi
        ;;
    record)
        limit=$(awk -v c="$counted" -v s=$slack -v h="$hard" \
            'BEGIN { l = int(c + s + 0.999); print (h != "-" && l > h ? h : l) }')
        echo
        printf '%8s %8s %8s %10s %8s\n' "$calls" "$size" "$live" "$counted" "$limit" >>"$rows"
        ;;
    compare | hard | hardened)
        if [ $mode = hard ]; then
            recorded='' limit=$hard
        elif [ "$hard" != - ] && over "$limit" "$hard"; then
            die "$budget: the limit of $calls $size $live may be at most $hard"
        fi
        printf ' %10s %8s' "$recorded" "$limit"
        if [ "$limit" != - ] && over "$counted" "$limit"; then
            printf '  OVER THE LIMIT'
            status=1
        elif [ $mode = hardened ]; then
            printf ' %10s' "$(NEARHEAP_HARDEN=1 per_pair "$calls" "$size" "$live")"
        elif [ $mode = compare ] && over "$recorded" "$(awk -v c="$counted" 'BEGIN { print c + 2 }')"; then
            printf '  below the record'
            loose=yes
        fi
        echo
        ;;
    esac
done <"$budget"

if [ $mode = profiled ]; then
    echo "a sample: about $sample (some 150 were taken)"
    if over "$sample" "$sample_most"; then
        echo "OVER THE LIMIT of $sample_most"
        status=1
    fi
fi
if [ $mode = record ]; then
    { grep '^#' "$budget" && cat "$rows"; } >"$work/budget"
    cp "$work/budget" "$budget"
    echo "written to $budget"
fi
if [ -n "$loose" ]; then
    echo "The budget can be tightened: tests/instructions.sh --record"
fi
if [ $status != 0 ]; then
    echo "A fast path became slower.  If that is the price of something worth it, record it" \
        "with tests/instructions.sh --record and say so in the commit."
fi
exit $status
