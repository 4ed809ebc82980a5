# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# nearheap.bash - completion for the tools of nearheap.  Options, what they take, and the words
# that an option takes, are those that the tools' own --help prints; here stand only the
# commands of tools that have such.

# Where processes that were started with NEARHEAP_SHARE=1 leave a file of their number.
_nearheap_places=(/dev/shm /tmp)

# _nearheap_offer ARGUMENT...: offers, beside what is, what compgen makes of the arguments: a
# line each, since names of files have spaces.
_nearheap_offer() {
    local found
    mapfile -t found < <(compgen "$@")
    COMPREPLY+=("${found[@]}")
}

# _nearheap_help TOOL COMMAND: what it says of itself, or of its command.
_nearheap_help() {
    case ${1##*/} in
    nearheap-profile) "$1" ${2:+"$2"} --help 2>/dev/null ;;
    *) "$1" --help 2>/dev/null ;;
    esac
}

# _nearheap_options HELP: what stands first in a line, and what the lines of usage have.
_nearheap_options() {
    sed -nE 's/^ +(-[a-z]( [A-Z]+)?, )?(--[a-z-]+).*/\3/p' <<<"$1"
    grep -E '^(usage:| {7}nearheap-)' <<<"$1" | grep -oE -- '--[a-z][a-z-]*'
}

# _nearheap_taken HELP OPTION: what the option's value is called; nothing if it takes none.
_nearheap_taken() {
    case $2 in
    *[!a-z-]* | [!-]*) ;;
    *) sed -nE "s/^ +(-[a-z]( [A-Z]+)?, )?$2 ([A-Z]+).*/\\3/p
                s/^ +$2( [A-Z]+)?, --[a-z-]+ ([A-Z]+).*/\\2/p" <<<"$1" | head -n 1 ;;
    esac
}

# _nearheap_words HELP OPTION: the words that may follow the option.
_nearheap_words() {
    case $2 in
    --profile) sed -n 's/^      \([a-z]*\): .*/\1/p' <<<"$1" ;;
    *) sed -n "/^  $2 VALUE\$/,/^  --/s/^ *one of \\([^;]*\\).*/\\1/p" <<<"$1" | tr '|' ' ' ;;
    esac
}

# _nearheap_value HELP OPTION KIND CURRENT: completes a value of the kind that --help names.
_nearheap_value() {
    local words
    case $3 in
    FILE | PATH | EARLIER) _nearheap_offer -f -- "$4" ;;
    DIR) _nearheap_offer -d -- "$4" ;;
    *)
        words=$(_nearheap_words "$1" "$2")
        if [ -n "$words" ]; then
            _nearheap_offer -W "$words" -- "$4"
        elif sed -n "/^  $2 VALUE\$/{n;p;}" <<<"$1" | grep -qw file; then
            _nearheap_offer -f -- "$4"
        fi
        ;;
    esac
}

# Those that answer; of other users', root sees some.
_nearheap_processes() {
    local place path pid
    for place in "${_nearheap_places[@]}"; do
        for path in "$place"/nearheap-[0-9]*/[0-9]*; do
            pid=${path##*/}
            case $pid in *[!0-9]*) continue ;; esac
            [ ! -d "/proc/$pid" ] || echo "$pid"
        done
    done
}

# _nearheap_variables TOOL COMMAND CURRENT: the options that nearheap-ctl gets or sets.
_nearheap_variables() {
    local prefix=
    case $3 in NEARHEAP_*) prefix=NEARHEAP_ ;; esac
    if [ "$2" = set ]; then
        "$1" --help | sed -n "s/^  NEARHEAP_\\([A-Z_]*\\)\$/$prefix\\1/p"
    else # nearheap-run tells of all; what it calls profile-file is PROFILE
        "${1%ctl}run" --help | sed -n 's/^  --\([a-z-]*\) VALUE$/\1/p' | sed 's/^profile-file$/profile/' |
            tr a-z- A-Z_ | sed "s/^/$prefix/"
    fi
}

# _nearheap_ctl TOOL CURRENT WORD...: completes what follows these words that are no options.
_nearheap_ctl() {
    local tool=$1 current=$2 words='' option
    shift 2
    case $#:${2-} in
    0:) words=$(_nearheap_processes) ;;
    1:) words='get set scavenge profile dump migrate stats' ;;
    2:get | 2:set) words=$(_nearheap_variables "$tool" "$2" "$current") ;;
    2:profile) words='start stop write' ;;
    3:set)
        option=$(tr A-Z_ a-z- <<<"${3#NEARHEAP_}")
        words=$(_nearheap_words "$("${tool%ctl}run" --help)" "--$option")
        ;;
    esac
    _nearheap_offer -W "$words" -- "$current"
}

_nearheap() {
    local tool=${1##*/} current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local help taken command='' given=() i
    COMPREPLY=()
    help=$(_nearheap_help "$1")
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --)
            i=$((i + 1))
            break
            ;;
        -*)
            if [ "${COMP_WORDS[i + 1]}" = = ]; then # of --OPTION=VALUE, which bash takes apart
                i=$((i + 2))
            elif [ -n "$(_nearheap_taken "$help" "${COMP_WORDS[i]}")" ]; then
                i=$((i + 1))
            fi
            ;;
        *)
            given+=("${COMP_WORDS[i]}")
            case $tool in
            nearheap-run) break ;;
            nearheap-profile)
                [ -n "$command" ] || help=$(_nearheap_help "$1" "${COMP_WORDS[i]}")
                command=${COMP_WORDS[i]}
                ;;
            esac
            ;;
        esac
    done
    # nearheap-run: from the program's name on, it is the program's completion.
    if [ "$tool" = nearheap-run ] && [ "$i" -lt "$COMP_CWORD" ]; then
        ! declare -F _command_offset >/dev/null || _command_offset "$i"
        return
    fi
    case $current in
    -*)
        _nearheap_offer -W "$(_nearheap_options "$help" | sort -u)" -- "$current"
        return
        ;;
    =) before=${COMP_WORDS[COMP_CWORD - 1]} current='' ;;
    *) [ "$before" != = ] || before=${COMP_WORDS[COMP_CWORD - 2]} ;;
    esac
    taken=$(_nearheap_taken "$help" "$before")
    if [ -n "$taken" ]; then
        _nearheap_value "$help" "$before" "$taken" "$current"
        return
    fi
    case $tool:${#given[@]} in
    nearheap-run:*) _nearheap_offer -c -f -- "$current" ;;
    nearheap-ctl:*) _nearheap_ctl "$1" "$current" "${given[@]}" ;;
    nearheap-top:0) _nearheap_offer -W "$(_nearheap_processes)" -- "$current" ;;
    nearheap-map:0) _nearheap_offer -f -W "$(_nearheap_processes)" -- "$current" ;;
    nearheap-profile:0) _nearheap_offer -W 'crossnode held names totals' -- "$current" ;;
    nearheap-profile:*) _nearheap_offer -f -- "$current" ;;
    esac
}

complete -o filenames -F _nearheap nearheap-run nearheap-topo nearheap-profile nearheap-top \
    nearheap-ctl nearheap-map
