# SPDX-License-Identifier: LGPL-2.1-or-later
"""malloc/ of the GNU C library, with its own support/ library."""

import glob
import os

import suite

NAME = PACKAGE = "glibc"
KEPT = ["malloc", "support", "test-skeleton.c", "include/array_length.h", "include/libc-diag.h",
        "sysdeps/generic/malloc-alignment.h", "sysdeps/generic/malloc-size.h"]

# Found by name from malloc/ or anywhere, as in glibc's own build, whose other headers must not
# be: they are not for programs outside of it.
HEADERS = ["include/array_length.h", "include/libc-diag.h", "sysdeps/generic/malloc-alignment.h",
           "sysdeps/generic/malloc-size.h"]

# Where glibc was built and installed, of which no test here asks.
PATHS = ("SRCDIR", "OBJDIR", "OBJDIR_ELF_LDSO", "INSTDIR", "LIBDIR", "BINDIR", "SBINDIR",
         "SLIBDIR", "RTLDDIR", "ROOTSBINDIR", "COMPLOCALEDIR", "SYSCONFDIR")

# Parts of support/ that are programs, or for other tests.
NOT_SUPPORT = ("tst-", "test-", "resolv", "links-", "support-", "README", "echo-", "shell-",
               "true-")

# What glibc's malloc/Makefile sets for a test.
ENVIRONMENT = {
    "tst-mxfast": {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0"},
}

# A malloc of the program's own that goes before the preloaded one.
INTERPOSED = {"tst-interpose-nothread": "tst-interpose-aux-nothread.c",
              "tst-interpose-thread": "tst-interpose-aux-thread.c"}

SLOW = ("tst-mallocfork2", "tst-mallocfork3")  # 40 s, on glibc


def found(source):
    paths = glob.glob(os.path.join(source, "malloc", "tst-*.c"))
    return sorted(os.path.basename(path)[:-2] for path in paths) + ["mallocbug"]


def prepare(source, folder, jobs):
    headers = os.path.join(folder, "headers")
    os.mkdir(headers)
    for name in ["malloc", "support"] + HEADERS:
        os.symlink(os.path.join(source, name), os.path.join(headers, os.path.basename(name)))
    # What glibc's own headers bring along; the limits of time are also set when tests run.
    flags = ["-D_GNU_SOURCE", "-I", headers, "-I", os.path.join(source, "support"),
             "-include", "limits.h", "-DTIMEOUTFACTOR=1"]
    support = [path for path in sorted(glob.glob(os.path.join(source, "support", "*.c")))
               if not os.path.basename(path).startswith(NOT_SUPPORT)
               and not path.endswith(("-time64.c", "_main_blob.c"))]
    library = os.path.join(folder, "support.a")
    suite.archive(support, flags + [f'-D{name}_PATH="/none"' for name in PATHS], library, jobs)
    return flags, library


def tests(source, folder, jobs, names):
    flags, library = prepare(source, folder, jobs)
    for name in names:
        sources = [os.path.join(source, "malloc", f"{name}.c")]
        if name in INTERPOSED:
            sources.append(os.path.join(source, "malloc", INTERPOSED[name]))
        own = []
        if name == "tst-malloc-thread-fail":
            own = ["-include", os.path.join(suite.HERE, "stand_in", "glibc", "errno_too.h")]
        yield suite.Test(name, sources, flags + own, [library, "-ldl"],
                         environment=dict(ENVIRONMENT.get(name, {}), TIMEOUTFACTOR="5"),
                         slow=name in SLOW)
