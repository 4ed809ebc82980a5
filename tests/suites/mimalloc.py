# SPDX-License-Identifier: LGPL-2.1-or-later
"""mimalloc's tests, as far as what they use has standard names."""

import glob
import os

import suite

NAME = PACKAGE = "mimalloc"
KEPT = ["test"]


def found(source):
    paths = glob.glob(os.path.join(source, "test", "*.c*"))
    return sorted(os.path.basename(path) for path in paths if not path.endswith(".cmake"))


def tests(source, _folder, _jobs, names):
    stand_in = os.path.join(suite.HERE, "stand_in", "mimalloc")
    for name in names:
        test = suite.Test(name, [os.path.join(source, "test", name)], ["-I", stand_in])
        if name.startswith("test-api"):
            test.flags += ["-include", os.path.join(stand_in, "testhelper.h")]
            test.cases = True
        elif name.startswith("test-stress"):
            test.flags += ["-DUSE_STD_MALLOC"]
            test.arguments = ["8", "25", "20"]  # threads, scale, turns
        else:
            test.slow = True  # 30 GB are written
        yield test
