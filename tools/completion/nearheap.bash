# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2207 # words have no spaces in them
#
# nearheap.bash - completion for the tools of nearheap.  Options, and the words that an
# option takes, are those that the tool's own --help prints; here stand only the commands
# of tools that have such, and what is not an option's word.

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

# _nearheap_values HELP OPTION: the words that may follow the option.
_nearheap_values() {
    case $2 in
    --profile) sed -n 's/^      \([a-z]*\): .*/\1/p' <<<"$1" ;;
    *) sed -n "/^  $2 VALUE\$/,/^  --/s/^ *one of \\([^;]*\\).*/\\1/p" <<<"$1" | tr '|' ' ' ;;
    esac
}

_nearheap_commands() {
    case $1 in
    nearheap-profile) echo crossnode held names totals ;;
    nearheap-ctl) echo get set scavenge profile dump migrate stats ;;
    esac
}

_nearheap_processes() (
    cd /proc && echo [0-9]*
)

_nearheap() {
    local tool=${1##*/} current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local commands command='' help options values i
    commands=$(_nearheap_commands "$tool")
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case " $commands " in *" ${COMP_WORDS[i]} "*) command=${COMP_WORDS[i]} ;; esac
    done
    # nearheap-run: from the program's name on, it is the program's completion.
    if [ "$tool" = nearheap-run ]; then
        for ((i = 1; i < COMP_CWORD; i++)); do
            case ${COMP_WORDS[i]} in
            --)
                i=$((i + 1))
                break
                ;;
            --check | --print-* | --quiet | --help | --version | --*=*) ;;
            --*) i=$((i + 1)) ;;
            *) break ;;
            esac
        done
        if [ "$i" -lt "$COMP_CWORD" ] && declare -F _command_offset >/dev/null; then
            _command_offset "$i"
            return
        fi
    fi
    help=$(_nearheap_help "$1" "$command")
    case $current in
    -*)
        options=$(_nearheap_options "$help" | sort -u)
        COMPREPLY=($(compgen -W "$options" -- "$current"))
        return
        ;;
    esac
    values=
    case $before in --*) values=$(_nearheap_values "$help" "$before") ;; esac
    if [ -n "$values" ]; then
        COMPREPLY=($(compgen -W "$values" -- "$current"))
        return
    fi
    case $tool in
    nearheap-run) COMPREPLY=($(compgen -c -- "$current") $(compgen -f -- "$current")) ;;
    nearheap-top) COMPREPLY=($(compgen -W "$(_nearheap_processes)" -- "$current")) ;;
    nearheap-map)
        COMPREPLY=($(compgen -W "$(_nearheap_processes)" -- "$current")
            $(compgen -f -- "$current"))
        ;;
    *)
        if [ "$tool" = nearheap-ctl ] && [ "$COMP_CWORD" = 1 ]; then
            values=$(_nearheap_processes)
        elif [ -z "$command" ]; then
            values=$commands
        elif [ "$before" = profile ]; then
            values='start stop write'
        else
            COMPREPLY=($(compgen -f -- "$current"))
            return
        fi
        COMPREPLY=($(compgen -W "$values" -- "$current"))
        ;;
    esac
}

complete -o filenames -F _nearheap nearheap-run nearheap-topo nearheap-profile nearheap-top \
    nearheap-ctl nearheap-map
