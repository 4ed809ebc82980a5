# SPDX-License-Identifier: LGPL-2.1-or-later
"""The version, which include/nearheap.h says; installed it is in a file that lies here."""

import os
import re

HERE = os.path.dirname(os.path.realpath(__file__))
INSTALLED = os.path.join(HERE, "version")
HEADER = os.path.join(HERE, "..", "include", "nearheap.h")


def installed():
    return os.path.exists(INSTALLED)


def version():
    if installed():
        with open(INSTALLED, encoding="ascii") as file:
            return file.read().strip()
    with open(HEADER, encoding="utf-8") as file:
        return ".".join(re.findall(r"^#define NH_VERSION_\w+ (\d+)$", file.read(), re.M))
