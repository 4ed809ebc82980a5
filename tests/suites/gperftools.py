# SPDX-License-Identifier: LGPL-2.1-or-later
"""gperftools' (tcmalloc's) tests that use standard names."""

import glob
import os

import suite

NAME = "gperftools"
PACKAGE = "google-perftools"
KEPT = ["src/tests", "src/base"]


def found(source):
    folder = os.path.join(source, "src", "tests")
    paths = glob.glob(os.path.join(folder, "*.c")) + glob.glob(os.path.join(folder, "*.cc"))
    return sorted(os.path.basename(path).rsplit(".", 1)[0] for path in paths)


def tests(source, _folder, _jobs, names):
    folder = os.path.join(source, "src", "tests")
    flags = ["-I", os.path.join(suite.HERE, "stand_in", "gperftools"),
             "-I", os.path.join(source, "src")]
    for name in names:
        yield suite.Test(name, [os.path.join(folder, f"{name}.cc"),
                                os.path.join(folder, "testutil.cc")], flags)
