#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""pages_test.py PAGES OPTIONS-TABLE TOOL...: the manual pages in the folder PAGES are well
formed, and they, the tools' --help and the shells' completion tell of the same options.
TOOLs are the programs; OPTIONS-TABLE prints the README's table of options."""

import os
import re
import shutil
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGES, OPTIONS_TABLE, TOOLS = sys.argv[1], sys.argv[2], sys.argv[3:]
SOURCES = os.path.join(ROOT, "tools", "man")
COMPLETION = os.path.join(ROOT, "tools", "completion", "nearheap.bash")


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read()


def all_pages():
    """Those that are built, and the sources of those whose tool is not here."""
    built = sorted(os.listdir(PAGES))
    return [os.path.join(PAGES, name) for name in built] + [
        os.path.join(SOURCES, name) for name in sorted(os.listdir(SOURCES))
        if name.endswith(".in") and name[:-3] not in built]


def commands(tool):
    """The commands of a tool, by its page: each begins an item with its name, or a line."""
    page = read(PAGES, os.path.basename(tool) + ".1")
    return sorted(set(re.findall(r"^\.Cm ([a-z]+)", page, re.M)))


def helps(tool):
    """What the tool says of itself; nearheap-profile's commands have options of their own."""
    texts = [output(tool, "--help")]
    if os.path.basename(tool) == "nearheap-profile":
        texts += [output(tool, command, "--help") for command in commands(tool)]
    return texts


def options_of(text):
    """What stands first in a line, and what the lines of usage have."""
    usage = " ".join(re.findall(r"^(?:usage:| {7}nearheap-).*", text, re.M))
    return set(re.findall(r"^ +(?:-[a-z](?: [A-Z]+)?, )?(--[a-z][a-z-]*)", text, re.M) +
               re.findall(r"--[a-z][a-z-]*", usage))


def completed(tool, *words):
    """What completion offers for the last of the words."""
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
              '_nearheap "$1"; printf "%s\\n" "${COMPREPLY[@]}"')
    return set(output("bash", "-c", script, "bash", COMPLETION, tool, *words).split())


class Pages(unittest.TestCase):
    def test_form(self):
        checks = [["mandoc", "-Tlint", "-W", "warning"], ["man", "--warnings", "-l"]]
        here = [check for check in checks if shutil.which(check[0])]
        if not here:
            self.skipTest("neither mandoc nor man is here")
        for page in all_pages():
            for check in here:
                with self.subTest(page=page, check=check[0]):
                    ran = subprocess.run([*check, page], capture_output=True, text=True,
                                         env={**os.environ, "LC_ALL": "C.UTF-8"})
                    said = ran.stdout + ran.stderr if check[0] == "mandoc" else ran.stderr
                    self.assertEqual(said, "")

    def test_library_options(self):
        told = set(re.findall(r"^\.It Ev (NEARHEAP_[A-Z_]+)$", read(PAGES, "nearheap.7"), re.M))
        self.assertEqual(told, set(re.findall(r"^\| `(NEARHEAP_[A-Z_]+)`", output(OPTIONS_TABLE),
                                              re.M)))

    def test_values_are_as_they_are_typed(self):
        """What a meaning begins with, if it is a value, is not made to begin a sentence."""
        page = read(PAGES, "nearheap.7")
        values = re.findall(r"\| ([a-z]+:[A-Z]+) ", output(OPTIONS_TABLE))
        self.assertEqual(values, ["synthetic:DESCRIPTION"])
        for value in values:
            self.assertRegex(page, rf"(?m)^{value}\b")

    def test_paths(self):
        """Wherever an example has metrics written, it is where Debian's node-exporter looks."""
        texts = [read(ROOT, "README.md"), *map(read, all_pages())]
        places = {place for text in texts for place in re.findall(r"\S+/nearheap\.prom", text)}
        self.assertEqual(places, {"/var/lib/prometheus/node-exporter/nearheap.prom"})

    def test_counters_and_functions(self):
        header = read(ROOT, "include", "nearheap.h")
        counters = set(re.findall(r"^    X\((\w+),", header, re.M))
        told = set(re.findall(r"^\.It Va (\w+)$", read(PAGES, "nearheap.7"), re.M))
        self.assertEqual(told, counters)
        functions = set(re.findall(r"^NH_API .*?\b(nh_\w+)\(", header, re.M))
        page = read(PAGES, "nearheap.3")
        self.assertGreater(len(functions), 30)
        self.assertEqual({name for name in functions if f"{name}(" in page}, functions)

    def test_variables_exist(self):
        """Pages speak of no variable that is none, nor of pages of ours that are none."""
        table = output(OPTIONS_TABLE)
        for name in os.listdir(PAGES):
            page = read(PAGES, name)
            for variable in set(re.findall(r"NEARHEAP_[A-Z_]*[A-Z]", page)):
                self.assertIn(f"`{variable}`", table, name)
            for other in set(re.findall(r"^\.Xr (nearheap\S* \d)", page, re.M)):
                self.assertTrue(os.path.exists(os.path.join(SOURCES,
                                                            other.replace(" ", ".") + ".in")), other)


class Options(unittest.TestCase):
    def test_help_page_and_completion_agree(self):
        for tool in TOOLS:
            name = os.path.basename(tool)
            with self.subTest(tool=name):
                said = set().union(*map(options_of, helps(tool)))
                self.assertIn("--help", said)
                page = read(PAGES, name + ".1").replace("\\-", "-")
                self.assertEqual(set(re.findall(r"\bFl -([a-z][a-z-]*)", page)),
                                 {option[2:] for option in said})
                offered = completed(tool, "-")
                for command in commands(tool):
                    offered |= completed(tool, command, "-")
                self.assertEqual(offered, said)

    def test_version_and_help(self):
        """Each tool tells the library's version, and takes -h."""
        version = ".".join(re.findall(r"^#define NH_VERSION_\w+ (\d+)$",
                                      read(ROOT, "include", "nearheap.h"), re.M))
        for tool in TOOLS:
            with self.subTest(tool=os.path.basename(tool)):
                self.assertEqual(output(tool, "--version"),
                                 f"{os.path.basename(tool)} {version}\n")
                self.assertEqual(output(tool, "-h"), output(tool, "--help"))

    def test_commands(self):
        for tool in TOOLS:
            told = commands(tool)
            with self.subTest(tool=os.path.basename(tool)):
                for command in told:
                    self.assertRegex(output(tool, "--help"), rf"\b{command}\b")
                before = ["1"] if tool.endswith("nearheap-ctl") else []
                if told:
                    self.assertLessEqual(set(told), completed(tool, *before, ""))

    def test_words(self):
        tool = next(tool for tool in TOOLS if tool.endswith("nearheap-run"))
        self.assertEqual(completed(tool, "--huge", ""), {"default", "always", "never"})
        self.assertEqual(completed(tool, "--profile", "l"), {"latency"})
        self.assertEqual(completed(tool, "--profile", ""), {"latency", "throughput", "memory"})


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
