# SPDX-License-Identifier: LGPL-2.1-or-later
"""Text out of files that others wrote, for a terminal or another program: what the Python tools
print goes through here.  printable.h is the same for those in C."""

import json
import sys


def printable(text):
    """A question mark for each character that a terminal would obey, or that cannot be told
    in the encoding of the output."""
    encoding = sys.stdout.encoding or "utf-8"
    told = text.encode(encoding, errors="replace").decode(encoding)
    return "".join(one if one.isprintable() else "?" for one in told)


def json_text(value, **form):
    """JSON in ASCII; the one control character that json leaves as it is, is escaped too."""
    return json.dumps(value, **form).replace("\x7f", "\\u007f")
