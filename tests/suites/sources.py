# SPDX-License-Identifier: LGPL-2.1-or-later
"""The suites' sources, from Debian's source packages, by an apt that has lists of its own: the
system's is not changed, and no root is needed.  What a suite needs of a package is kept in the
user's cache folder."""

import os
import re
import shutil
import subprocess
import tempfile


class NotHere(Exception):
    """What it takes is not on this machine."""


def cache_folder():
    """Not in /tmp, where others could have put something for us (as tools/lib.sh has it)."""
    home = os.environ.get("HOME")
    cache = os.environ.get("XDG_CACHE_HOME") or (home and os.path.join(home, ".cache"))
    if not cache:
        raise NotHere("set HOME, or XDG_CACHE_HOME: there is no folder for what is downloaded")
    return os.path.join(cache, "nearheap", "suites")


def release():
    """The name of this system's release, for which the packages are."""
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            names = dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
    except OSError:
        names = {}
    return (names.get("VERSION_CODENAME") or names.get("VERSION_ID") or "unknown").strip('"')


def with_sources(path, text):
    """The list of apt at path, with sources in the place of packages."""
    if path.endswith(".sources"):
        return re.sub(r"(?m)^Types:.*$", "Types: deb-src", text)
    lines = [re.sub(r"^deb\s", "deb-src ", line) for line in text.splitlines()
             if re.match(r"deb\s", line)]
    return "".join(line + "\n" for line in lines)


class Apt:
    """An apt-get that knows the sources of what the system's knows the packages of."""

    def __init__(self, folder):
        self.folder = folder
        self.trouble = ""
        parts = os.path.join(folder, "parts")
        for name in ("parts", "lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(folder, name))
        for path in self.system_lists():
            with open(path, encoding="utf-8") as file:
                text = with_sources(path, file.read())
            with open(os.path.join(parts, os.path.basename(path)), "w", encoding="utf-8") as file:
                file.write(text)
        configuration = os.path.join(folder, "conf")
        with open(configuration, "w", encoding="utf-8") as file:
            file.write('APT::Sandbox::User "";\n'
                       # Soon, where there is no network.
                       'Acquire::Retries "0";\n'
                       'Acquire::http::Timeout "20";\n'
                       'Acquire::https::Timeout "20";\n'
                       f'Dir::Etc::sourcelist "{folder}/none";\n'
                       f'Dir::Etc::sourceparts "{parts}";\n'
                       f'Dir::State::lists "{folder}/lists";\n'
                       f'Dir::Cache "{folder}/cache";\n')
        self.environment = dict(os.environ, APT_CONFIG=configuration)

    @staticmethod
    def system_lists():
        told = subprocess.run(["apt-config", "shell", "list", "Dir::Etc::sourcelist/f",
                               "parts", "Dir::Etc::sourceparts/d"],
                              check=True, capture_output=True, text=True).stdout
        paths = dict(re.findall(r"(\w+)='([^']*)'", told))
        found = [paths["list"]] if os.path.isfile(paths["list"]) else []
        parts = paths["parts"]
        names = sorted(os.listdir(parts)) if os.path.isdir(parts) else []
        return found + [os.path.join(parts, name) for name in names
                        if name.endswith((".list", ".sources"))]

    def run(self, *arguments, cwd=None):
        done = subprocess.run(arguments, cwd=cwd or self.folder, env=self.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        return done.returncode == 0, done.stdout

    def update(self):
        # One server that has no sources is no reason to go without the others'.
        done, _ = self.run("apt-get", "-o", "APT::Update::Error-Mode=any", "update")
        self.trouble = "" if done else " (not all of apt's servers gave a list of sources)"

    def unpack(self, package):
        """The folder with the package's sources."""
        folder = os.path.join(self.folder, package)
        os.mkdir(folder)
        done, told = self.run("apt-get", "source", "--download-only", "--only-source", package,
                              cwd=folder)
        descriptions = [name for name in os.listdir(folder) if name.endswith(".dsc")]
        if not done or len(descriptions) != 1:
            raise NotHere(f"apt does not get the source package {package}{self.trouble}: "
                          f"{told.strip()[-400:]}")
        tree = os.path.join(folder, "tree")
        # apt has compared the digests in the description, and that by the signed list.
        done, told = self.run("dpkg-source", "--no-check", "--extract",
                              os.path.join(folder, descriptions[0]), tree, cwd=folder)
        if not done:
            raise NotHere(f"dpkg-source does not unpack {package}: {told.strip()[-400:]}")
        version = descriptions[0][len(package) + 1:-len(".dsc")]
        return tree, version


def keep(tree, version, wanted, folder):
    """Moves what is wanted of the tree to the folder, at once: others may look for it now."""
    fresh = tempfile.mkdtemp(dir=os.path.dirname(folder))
    try:
        for path in wanted:
            there = os.path.join(fresh, path)
            os.makedirs(os.path.dirname(there), exist_ok=True)
            shutil.move(os.path.join(tree, path), there)
        with open(os.path.join(fresh, "VERSION"), "w", encoding="utf-8") as file:
            file.write(version + "\n")
        os.chmod(fresh, 0o755)
        try:
            os.rename(fresh, folder)
        except OSError:  # another run was faster
            if not os.path.isdir(folder):
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def obtain(suites, again=False):
    """{suite's name: folder}, and {suite's name: why there is none}."""
    cache = cache_folder()
    os.makedirs(cache, exist_ok=True)
    folders = {suite.NAME: os.path.join(cache, f"{release()}-{suite.PACKAGE}") for suite in suites}
    wanted = [suite for suite in suites if again or not os.path.isdir(folders[suite.NAME])]
    reasons = {}
    if wanted:
        missing = [name for name in ("apt-get", "dpkg-source") if not shutil.which(name)]
        if missing:
            reasons = {suite.NAME: f"there is no {missing[0]}" for suite in wanted}
            wanted = []
    if wanted:
        with tempfile.TemporaryDirectory(prefix="nearheap-suites.") as work:
            apt = Apt(work)
            apt.update()
            for suite in wanted:
                try:
                    tree, version = apt.unpack(suite.PACKAGE)
                except NotHere as reason:
                    reasons[suite.NAME] = str(reason)
                    continue
                shutil.rmtree(folders[suite.NAME], ignore_errors=True)
                keep(tree, version, suite.KEPT, folders[suite.NAME])
    return {name: folder for name, folder in folders.items() if name not in reasons}, reasons
