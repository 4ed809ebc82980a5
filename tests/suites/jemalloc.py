# SPDX-License-Identifier: LGPL-2.1-or-later
"""jemalloc's integration tests that use standard names."""

import glob
import os

import suite

NAME = PACKAGE = "jemalloc"
KEPT = ["test"]


def found(source):
    tree = os.path.join(source, "test")
    paths = [path for pattern in ("*.c", "*.cpp")
             for path in glob.glob(os.path.join(tree, "**", pattern), recursive=True)]
    return sorted(os.path.relpath(path, tree) for path in paths)


def tests(source, _folder, _jobs, names):
    stand_in = os.path.join(suite.HERE, "stand_in", "jemalloc")
    for name in names:
        yield suite.Test(name, [os.path.join(source, "test", name)], ["-I", stand_in], cases=True)
