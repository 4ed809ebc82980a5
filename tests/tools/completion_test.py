#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""completion_test.py TOOL...: what bash and zsh offer behind words of the tools' command lines.
Each case is asked of both, zsh under a terminal of its own; status 77 where there is no zsh, when
all else is right.  That the options are those of --help, pages_test.py sees."""

import os
import pty
import shutil
import subprocess
import sys
import tempfile

TOOLS = {os.path.basename(tool): os.path.abspath(tool) for tool in sys.argv[1:]}
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "completion")
BASH = """
source "$1"; _nearheap_places=("$2"); shift 2
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _nearheap "$1"; printf '%s\\n' "${COMPREPLY[@]}"
"""
# When it has begun to read a line, it completes the one that is asked about, and ends.  What
# is offered goes through compadd, which says with -A what fits; other forms of it only look.
ZSH = """
autoload -Uz compinit
compinit -u -D
_nearheap_places=($PLACE)
compadd() {
    if [[ -z ${(M)${@[1,(i)(-|--)]}:#-[OAD]} ]]; then
        local -a offered
        builtin compadd -A offered "$@"
        (( ! $#offered )) || print -rl -- $offered >>$OUT
    fi
    builtin compadd "$@"
}
zle-line-init() { BUFFER=$LINE; CURSOR=$#BUFFER; zle list-choices; exit }
zle -N zle-line-init
"""
LIVE = {"VERBOSE", "CACHE", "DECAY", "HUGE", "BAD_FREE", "INTERLEAVE", "NODE_LIMIT",
        "PROFILE_RATE", "GUARD"}
HUGE = {"default", "always", "never"}
COMMANDS = {"get", "set", "scavenge", "profile", "dump", "migrate", "stats"}
PID = str(os.getpid())
FILE = "one-file"
SPACED = "two words"
# A line, the last word of which is to be completed, and what is offered: at least, and no more.
CASES = (
    ("nearheap-top", "", {PID}, {PID}),
    ("nearheap-top", "--output one", {FILE}, {FILE}),
    ("nearheap-top", "--output two", {SPACED}, {SPACED}),
    ("nearheap-top", "--output", {"--output"}, {"--output"}),
    ("nearheap-top", "--interval ", set(), set()),
    ("nearheap-top", "--json ", {PID}, {PID}),
    ("nearheap-map", "", {PID, FILE}, {PID, FILE, SPACED, "nearheap-7"}),
    ("nearheap-map", "--classes ", set(), set()),
    ("nearheap-ctl", "", {PID}, {PID}),
    ("nearheap-ctl", "--json ", {PID}, {PID}),
    ("nearheap-ctl", "--wait 3 ", {PID}, {PID}),
    ("nearheap-ctl", f"--json {PID} ", COMMANDS, COMMANDS),
    ("nearheap-ctl", f"{PID} set ", LIVE, LIVE),
    ("nearheap-ctl", f"{PID} set HU", {"HUGE"}, {"HUGE"}),
    ("nearheap-ctl", f"{PID} set NEARHEAP_HU", {"NEARHEAP_HUGE"}, {"NEARHEAP_HUGE"}),
    ("nearheap-ctl", f"{PID} set HUGE ", HUGE, HUGE),
    ("nearheap-ctl", f"{PID} set NEARHEAP_HUGE a", {"always"}, {"always"}),
    ("nearheap-ctl", f"{PID} set BAD_FREE ", {"abort", "report", "ignore"},
     {"abort", "report", "ignore"}),
    ("nearheap-ctl", f"{PID} set DECAY ", set(), set()),
    ("nearheap-ctl", f"{PID} get PRO", {"PROFILE", "PROFILE_RATE", "PROFILE_SIGNAL"},
     {"PROFILE", "PROFILE_RATE", "PROFILE_SIGNAL"}),
    ("nearheap-ctl", f"{PID} profile ", {"start", "stop", "write"}, {"start", "stop", "write"}),
    ("nearheap-ctl", f"{PID} profile write -o one", {FILE}, {FILE}),
    ("nearheap-profile", "", {"crossnode", "held", "names", "totals"},
     {"crossnode", "held", "names", "totals"}),
    ("nearheap-profile", "held --since one", {FILE}, {FILE}),
    ("nearheap-profile", "held --since x one", {FILE}, {FILE}),
    ("nearheap-profile", "held two", {SPACED}, {SPACED}),
    ("nearheap-profile", "held --depth ", set(), set()),
    ("nearheap-run", "--huge ", HUGE, HUGE),
    ("nearheap-run", "--profile l", {"latency"}, {"latency"}),
    ("nearheap-run", "--stats one", {FILE}, {FILE}),
    ("nearheap-topo", "", set(), {"--help", "--json", "--version"}),
)


def by_bash(folder, tool, words):
    done = subprocess.run(["bash", "-c", BASH, "bash", os.path.join(HERE, "nearheap.bash"), folder,
                           TOOLS[tool], *words], capture_output=True, text=True, check=True,
                          cwd=folder)
    if done.stderr:
        sys.exit(f"completion_test: bash says of {tool} {words}: {done.stderr}")
    return set(done.stdout.splitlines()) - {""}


def by_zsh(own, folder, tool, words):
    out = os.path.join(own, "offered")
    open(out, "w", encoding="utf-8").close()
    ours, its = pty.openpty()
    path = os.pathsep.join([*{os.path.dirname(one) for one in TOOLS.values()}, os.environ["PATH"]])
    with subprocess.Popen(["zsh", "-d", "-i"], stdin=its, stdout=its, stderr=its, cwd=folder,
                          start_new_session=True, env={
                              **os.environ, "ZDOTDIR": own, "PATH": path,
                              "OUT": out, "PLACE": folder, "TERM": "dumb",
                              "FPATH": os.environ["FUNCTIONS"],
                              "LINE": " ".join([tool, *words])}) as shell:
        os.close(its)
        said = b""
        while piece := read_terminal(ours):
            said += piece
        shell.wait()
    os.close(ours)
    with open(out, encoding="utf-8") as file:
        return {word.replace("\\ ", " ") for word in file.read().splitlines()}, said  # as typed


def read_terminal(fd):
    try:
        return os.read(fd, 4096)
    except OSError:  # the last that had it open is gone
        return b""


def main():
    here = shutil.which("zsh")
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as own:
        for name in FILE, SPACED:
            open(os.path.join(folder, name), "w", encoding="utf-8").close()
        os.mkdir(os.path.join(folder, "nearheap-7"))
        # Of a process that is there, of one that is not, and what is none.
        for name in PID, PID + ".sock", "999999999":
            open(os.path.join(folder, "nearheap-7", name), "w", encoding="utf-8").close()
        if here:
            with open(os.path.join(own, ".zshrc"), "w", encoding="utf-8") as file:
                file.write(ZSH)
            theirs = subprocess.run(["zsh", "-fc", "print -r -- $FPATH"], capture_output=True,
                                    text=True, check=True).stdout.strip()
            os.environ["FUNCTIONS"] = os.path.abspath(HERE) + ":" + theirs
        wrong = []
        for tool, line, least, most in CASES:
            words = line.split(" ")
            offers = [("bash", by_bash(folder, tool, words), "")]
            if here:
                offers.append(("zsh", *by_zsh(own, folder, tool, words)))
            for shell, offered, said in offers:
                if not least <= offered <= most:
                    wrong.append(f"{shell}, {tool} {line!r}: {sorted(offered)}, not {sorted(least)} {said}")
        if wrong:
            sys.exit("\n".join(["completion_test: wrong is offered:", *wrong]))
    if not here:
        print("completion_test: there is no zsh: only bash was asked")
        sys.exit(77)


main()
