#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs_test.py OPTIONS-TABLE LIBRARY: what the pages for operators (tools/docs) name is there:
variables with their values, options and commands of tools, functions, counters, files, and
the settings of other allocators, as far as these are here."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABLE, LIBRARY = sys.argv[1], sys.argv[2]
DOCS = os.path.join(ROOT, "tools", "docs")
MAN = os.path.join(ROOT, "tools", "man")
OTHERS = {"jemalloc": "libjemalloc.so.2", "gperftools' tcmalloc": "libtcmalloc_minimal.so.4",
          "mimalloc": "libmimalloc.so.2", "glibc": "ld-linux-x86-64.so.2"}
# Of which some values speak.
TWO_NODES = "synthetic:numa:2 core:1 pu:1"
# What the libraries of Debian 12 are too old for.
LATER = {"MIMALLOC_PURGE_DELAY", "MIMALLOC_PURGE_DECOMMITS", "MIMALLOC_ARENA_EAGER_COMMIT",
         "MIMALLOC_ALLOW_LARGE_OS_PAGES", "MIMALLOC_ALLOW_THP"}


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read()


PAGES = {name: read(DOCS, name) for name in sorted(os.listdir(DOCS)) if name.endswith(".md")}
HEADER = read(ROOT, "include", "nearheap.h")
COUNTERS = set(re.findall(r"^    X\((\w+),", HEADER, re.M))


def man(tool):
    path = os.path.join(MAN, f"{tool}.1.in")
    return read(path).replace("\\-", "-") if os.path.exists(path) else None


def variables():
    """The options' names with their values, and names that pages of tools have which are not
    built here."""
    rows = re.findall(r"^\| `(NEARHEAP_\w+)` \| (.*?) \|",
                      subprocess.run([TABLE], check=True, capture_output=True, text=True).stdout,
                      re.M)
    known = dict(rows)
    for name in os.listdir(MAN):
        if name.endswith(".1.in"):
            for variable in re.findall(r"\bNEARHEAP_[A-Z_]*[A-Z]\b", read(MAN, name)):
                known.setdefault(variable, "")
    return known


def code_of(page):
    """Blocks of shell, with their lines joined, and what stands between backticks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S)
    rest = re.sub(r"^```.*?^```", "", page, flags=re.M | re.S)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()] + \
        re.findall(r"`([^`\n]+)`", rest)


class Docs(unittest.TestCase):
    def all_in(self, pattern, known):
        """What matches in any page is one of those that are known."""
        for name, page in PAGES.items():
            for found in sorted(set(re.findall(pattern, page))):
                with self.subTest(page=name):
                    self.assertIn(found, known)

    def test_there_are_pages(self):
        self.assertEqual(list(PAGES), ["migrating.md", "operating.md", "security.md"])

    def test_variables(self):
        self.all_in(r"\bNEARHEAP_[A-Z_]*[A-Z]\b", variables())

    def test_values(self):
        """The library takes each setting without a word."""
        settings = {match for page in PAGES.values()
                    for match in re.findall(r"\b(NEARHEAP_[A-Z_]+)=([\w./%=,:-]*[\w%])", page)}
        self.assertGreater(len(settings), 15)
        for name, value in sorted(settings):
            if variables()[name] == "":
                continue
            with self.subTest(setting=f"{name}={value}"):
                clean = {key: one for key, one in os.environ.items()
                         if not key.startswith("NEARHEAP_")}
                clean["NEARHEAP_PROFILE"] = os.devnull  # which a signal needs
                if variables()[name] == "text" and (value == "1" or value.startswith("/")):
                    value = os.devnull  # a file
                ran = subprocess.run(["true"], capture_output=True, text=True, check=True,
                                     env={**clean, "LD_PRELOAD": LIBRARY,
                                          "NEARHEAP_TOPOLOGY": TWO_NODES, name: value})
                self.assertEqual([line for line in ran.stderr.splitlines()
                                  if "scavenge" not in line and "topology:" not in line], [])

    def test_tools(self):
        """Each option of a command line is in its tool's page, and each command."""
        seen = 0
        for name, page in PAGES.items():
            for line in code_of(page):
                for tool, words in re.findall(r"\b(nearheap-(?!tools)[a-z]+)\b([^|;&>#]*)", line):
                    with self.subTest(page=name, line=line):
                        told = man(tool)
                        self.assertIsNotNone(told, tool)
                        words = words.split(" -- ")[0].split()
                        seen += len(words)
                        for word in words:
                            if word.startswith("--"):
                                self.assertTrue(self.has_option(tool, told, word[2:]), word)
                        commands = set(re.findall(r"^\.Cm ([a-z]+)", told, re.M))
                        plain = [word for word in words if re.fullmatch(r"[a-z]+", word)]
                        if commands and plain:
                            self.assertIn(plain[0], commands)
        self.assertGreater(seen, 20)

    @staticmethod
    def has_option(tool, page, option):
        name = option.split("=")[0]
        if re.search(rf"\bFl -{re.escape(name)}\b", page):
            return True
        variable = "NEARHEAP_" + name.upper().replace("-", "_")
        variable = {"NEARHEAP_PROFILE_FILE": "NEARHEAP_PROFILE"}.get(variable, variable)
        return tool == "nearheap-run" and variable in variables()

    def test_functions_and_counters(self):
        self.all_in(r"`(nh_\w+)(?:\([^`]*\))?`", set(re.findall(r"\b(nh_\w+)\(", HEADER)))
        self.all_in(r"`(\w+_bytes|\w+_frees|borrows|lends|refusals|waits|scavenges|grows|spans|"
                    r"refills|flushes|unmaps)`", COUNTERS)

    def test_files(self):
        for name, page in PAGES.items():
            for link in re.findall(r"\]\(([^)#]+)\)", page):
                with self.subTest(page=name, link=link):
                    self.assertTrue(os.path.exists(os.path.join(DOCS, link)))
            for path in re.findall(r"`(tests/[\w./]+\w)", page):
                with self.subTest(page=name, path=path):
                    self.assertTrue(os.path.exists(os.path.join(ROOT, path)))
            titles = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
                      for title in re.findall(r"^#+ (.*)$", page, re.M)}
            for anchor in re.findall(r"\]\(#([^)]+)\)", page):
                self.assertIn(anchor, titles, name)

    def test_drop_in(self):
        """systemd takes nearheap.conf, with all that it proposes."""
        if shutil.which("systemd-analyze") is None:
            self.skipTest("there is no systemd-analyze")
        text = read(ROOT, "tools", "package", "nearheap.conf")
        with tempfile.TemporaryDirectory() as folder:
            unit = os.path.join(folder, "nearheap-test.service")
            os.mkdir(unit + ".d")
            with open(unit, "w", encoding="utf-8") as file:
                file.write("[Service]\nExecStart=/bin/true\n")
            with open(os.path.join(unit + ".d", "nearheap.conf"), "w", encoding="utf-8") as file:
                file.write(re.sub(r"^#([A-Z][A-Za-z]*=)", r"\1", text, flags=re.M))
            ran = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True,
                                 env={**os.environ, "SYSTEMD_UNIT_PATH": folder + ":"})
            self.assertNotIn("nearheap", ran.stderr)
            self.assertEqual(ran.returncode, 0)

    def test_others(self):
        """What is migrated from exists there, where the library is here."""
        page = PAGES["migrating.md"]
        checked = 0
        for title, library in OTHERS.items():
            part = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.M | re.S).group(1)
            names = re.findall(r"`([\w.]+)`", " ".join(re.findall(r"^\| (.*?) \|", part, re.M)))
            self.assertGreater(len(names), 8, title)
            path = next((os.path.join(folder, library) for folder in
                         ("/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib/aarch64-linux-gnu")
                         if os.path.exists(os.path.join(folder, library))), None)
            if path is None:
                continue
            with open(path, "rb") as file:
                data = file.read()
            for name in names:
                word = name.removeprefix("MIMALLOC_").lower() if title == "mimalloc" else name
                if name in LATER or name == "jeprof" or re.match(r"malloc_|mallinfo", name):
                    continue
                with self.subTest(allocator=title, name=name):
                    self.assertTrue(word.encode() in data)
                    checked += 1
        if checked == 0:
            self.skipTest("none of the other allocators is here")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
