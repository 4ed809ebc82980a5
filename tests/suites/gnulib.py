# SPDX-License-Identifier: LGPL-2.1-or-later
"""gnulib's tests of the functions that it makes good where a system's are wrong."""

import glob
import os

import suite

NAME = PACKAGE = "gnulib"
KEPT = ["tests", "lib"]
PATTERNS = ("test-*alloc*.c", "test-*alloc*.cc", "test-*memalign.c", "test-free.c")


def found(source):
    return sorted({os.path.basename(path).rsplit(".", 1)[0] for pattern in PATTERNS
                   for path in glob.glob(os.path.join(source, "tests", pattern))})


def tests(source, _folder, _jobs, names):
    stand_in = os.path.join(suite.HERE, "stand_in", "gnulib")
    # Its lib/ has headers by the names of the system's.
    flags = ["-I", stand_in, "-I", os.path.join(source, "tests"),
             "-idirafter", os.path.join(source, "lib")]
    for name in names:
        yield suite.Test(name, [os.path.join(source, "tests", f"{name}.c")], flags)
