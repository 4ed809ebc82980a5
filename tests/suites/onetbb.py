# SPDX-License-Identifier: LGPL-2.1-or-later
"""oneTBB's tests of its malloc that ask what the C library's promises, too."""

import glob
import os

import suite

NAME = PACKAGE = "onetbb"
KEPT = ["test/tbbmalloc", "test/common", "include", "src/tbbmalloc", "src/tbbmalloc_proxy"]

# Cases of such a program that ask for what its own malloc promises.
EXCLUDED = {"test_malloc_init_shutdown": "test key dtor"}


def found(source):
    paths = glob.glob(os.path.join(source, "test", "tbbmalloc", "*.c*"))
    return sorted(os.path.basename(path).rsplit(".", 1)[0] for path in paths)


def tests(source, _folder, _jobs, names):
    # No other malloc of its build is wanted, nor its scheduler.
    flags = ["-std=c++17", "-DTBB_USE_EXCEPTIONS=1", "-D__TBB_NO_IMPLICIT_LINKAGE=1",
             "-I", os.path.join(suite.HERE, "stand_in", "onetbb"), "-I", source,
             "-I", os.path.join(source, "include"), "-I", os.path.join(source, "test")]
    for name in names:
        arguments = [f"--test-case-exclude={EXCLUDED[name]}"] if name in EXCLUDED else []
        # A minute: all that fits into little memory, by many threads.
        yield suite.Test(name, [os.path.join(source, "test", "tbbmalloc", f"{name}.cpp")], flags,
                         ["-ldl"], arguments, slow=name == "test_malloc_compliance")
