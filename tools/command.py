# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the commands in Python share: numbers of their command lines, and how they end."""

import argparse
import os
import signal
import sys

from printable import printable

DIGITS_MOST = 18  # of a number


def open_nowhere(mode):
    """The lowest descriptor that is free, where there is such a file."""
    try:
        os.open(os.devnull, mode)
    except OSError:
        pass


def open_stream(fd):
    """To print to; None where that is not open."""
    try:
        return open(fd, "w", encoding="utf-8", closefd=False)
    except OSError:
        return None


def begin():
    """Before anything else.  SIGINT ends the process as it ends others, unless it was told to
    ignore it: not by an exception, of which Python prints where it came.  And where there is no
    standard output, what is printed is an error, as where that is full."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # A descriptor that is closed would be the next file's.
    for fd, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(fd)
        except OSError:
            open_nowhere(mode)
    if sys.stdout is None:
        sys.stdout = open_stream(1)


def whole(least):
    """For argparse: what reads a whole number that is not less."""
    def read(text):
        if (not text.isascii() or not text.isdigit() or len(text) > DIGITS_MOST
                or int(text) < least):
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least}")
        return int(text)
    return read


def line_of(error):
    """An error of the system's; one that tells no file is of what was printed."""
    return f"{error.filename or 'standard output'}: {error.strerror}"


def leave_output():
    """What could not be printed is not tried again at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


class Arguments(argparse.ArgumentParser):
    """Whose --help and --version are printed as all else is: what cannot be is an error."""

    def _print_message(self, message, file=None):
        if message and file is sys.stdout:
            file.write(message)
            file.flush()
        else:
            super()._print_message(message, file)


def run(tool, failed, work):
    """Does the work.  When that fails, by the exception `failed` or the system's, the tool ends
    with a line and status 1."""
    try:
        work()
        if sys.stdout is not None:
            sys.stdout.flush()
    except failed as error:
        sys.exit(printable(f"{tool}: {error}"))
    except BrokenPipeError:
        leave_output()
        sys.exit(1)
    except OSError as error:
        leave_output()
        sys.exit(printable(f"{tool}: {line_of(error)}"))
