# SPDX-License-Identifier: LGPL-2.1-or-later
"""Dumps of the heap, as src/dump.c writes them and describes their lines: read, checked, and
summed up.

A dump may come from anywhere: whatever is in it, reading it ends with a Dump or with
Failed, which says where."""

import bisect
import collections
import string

VERSION = "1"
STATES = ("objects", "large", "pages", "free", "clean", "leaving")
IDLE = ("free", "clean", "leaving")  # states of pages that nobody uses
INTERLEAVED = -1

NUMBER_MOST = 1 << 62
ADDRESS_MOST = 1 << 48
ROW_MOST = 1 << 16  # pages
LINE_MOST = 1 << 14
UNKNOWN = None


class Failed(Exception):
    pass


Span = collections.namedtuple(
    "Span", "base pages state home user size_class objects held cached age")
SizeClass = collections.namedtuple("SizeClass", "number bytes objects pages")


def number(text, least=0, most=NUMBER_MOST, base=10):
    digits = text[1:] if text.startswith("-") and least < 0 else text
    allowed = string.digits if base == 10 else string.hexdigits.lower()
    if not digits or len(digits) > 20 or any(c not in allowed for c in digits):
        raise ValueError(f"'{text[:40]}' is no number")
    value = int(text, base)
    if not least <= value <= most:
        raise ValueError(f"{value} is not from {least} to {most}")
    return value


def power_of_two(text, most):
    value = number(text, 1, most)
    if value & (value - 1):
        raise ValueError(f"{value} is no power of two")
    return value


def fields(words, count):
    if len(words) != count:
        raise ValueError(f"{len(words)} values, not {count}")
    return words


class Dump:
    """What a dump says; node numbers are the system's, -1 is interleaved memory."""

    def __init__(self, lines):
        self.library = ""
        self.process = self.time = self.page = self.row = None
        self.options = {}
        self.nodes = {}
        self.classes = {}
        self.spans = []
        self.resident = {}  # by address of a row, a bit each page
        self._rows = []  # of these, in order
        self._ended = False
        at = 0
        try:
            for at, line in enumerate(lines, 1):
                self._read_line(at, line)
        except UnicodeDecodeError:
            raise Failed(f"line {at + 1}: not text") from None
        except ValueError as error:
            raise Failed(f"line {at}: {error}") from None
        if not self._ended:
            raise Failed(f"it is cut off after line {at}")

    # ---- A line ----

    def _read_line(self, at, line):
        if at == 1:
            if line.split() != ["nearheap-dump", VERSION]:
                raise ValueError(f"this is no nearheap dump of version {VERSION}")
            return
        if self._ended:
            raise ValueError("there is something behind the end")
        if not line.endswith("\n") or len(line) > LINE_MOST:
            raise ValueError("the line has no end")
        word, *rest = line.split() or [""]
        reader = getattr(self, "_read_" + word, None) if word in READERS else None
        if reader is None:
            raise ValueError(f"'{word[:40]}' is no kind of line")
        reader(rest)

    def _read_library(self, rest):
        self.library = fields(rest, 1)[0]
        if len(self.library) > 32 or not all(c.isalnum() or c in ".-+" for c in self.library):
            raise ValueError("this is no version of a library")

    def _read_process(self, rest):
        self.process = number(*fields(rest, 1))

    def _read_time(self, rest):
        self.time = number(*fields(rest, 1), most=1 << 40)

    def _read_page(self, rest):
        self.page = power_of_two(*fields(rest, 1), 1 << 24)

    def _read_row(self, rest):
        self.row = power_of_two(*fields(rest, 1), ROW_MOST)

    def _read_option(self, rest):
        name, value = fields(rest, 2)
        if not name.replace("_", "").isalnum() or not value.lstrip("-").isalnum():
            raise ValueError("this is no option")
        self.options[name] = value

    def _read_node(self, rest):
        node = number(rest[0] if rest else "", INTERLEAVED, 1 << 16)
        if len(rest) % 2 != 1:
            raise ValueError("the counters are not in pairs")
        counters = {name: number(value, 0, 1 << 64)
                    for name, value in zip(rest[1::2], rest[2::2])}
        # A heap that has moved is on a node that has one already.
        self.nodes.setdefault(node, collections.Counter()).update(counters)

    def _read_class(self, rest):
        values = [number(one) for one in fields(rest, 4)]
        if not 0 < values[0] < 256 or 0 in values:
            raise ValueError("this is no size class")
        self.classes[values[0]] = SizeClass(*values)

    def _read_span(self, rest):
        if self.page is None or self.row is None:
            raise ValueError("a span comes before `page` and `row`")
        base, pages, state, home, user, size_class, objects, held, cached, age = fields(rest, 10)
        span = Span(number(base, 0, ADDRESS_MOST, 16), number(pages, 1, ADDRESS_MOST // self.page),
                    state, number(home, INTERLEAVED, 1 << 16), number(user, INTERLEAVED, 1 << 16),
                    number(size_class, 0, 255), number(objects, 0, 1 << 16),
                    number(held, 0, 1 << 16), number(cached, 0, 1 << 16),
                    UNKNOWN if age == "-" else number(age))
        last = self.spans[-1] if self.spans else None
        if span.base % self.page or span.base + span.pages * self.page > ADDRESS_MOST:
            raise ValueError("the span has no place")
        if last is not None and span.base < last.base + last.pages * self.page:
            raise ValueError("the span lies before the end of the one before")
        if state not in STATES or span.home not in self.nodes or span.user not in self.nodes:
            raise ValueError("there is no such state or node")
        if state == "objects":
            cut = self.classes.get(span.size_class)
            if (cut is None or span.objects == 0 or span.held + span.cached > span.objects
                    or span.objects * cut.bytes > span.pages * self.page):
                raise ValueError("the span cannot be cut like that")
        self.spans.append(span)

    def _read_resident(self, rest):
        if self.row is None:
            raise ValueError("a row comes before `row`")
        address, digits = fields(rest, 2)
        base = number(address, 0, ADDRESS_MOST, 16)
        if base % (self.row * self.page) or base in self.resident:
            raise ValueError("no row begins there, or it was told before")
        if digits == "all":
            self.resident[base] = (1 << self.row) - 1
            return
        if len(digits) * 4 != self.row or any(c not in string.hexdigits for c in digits):
            raise ValueError("these are not the pages of a row")
        self.resident[base] = int(digits[::-1], 16)

    def _read_end(self, rest):
        count = number(*fields(rest, 1))
        if count != len(self.spans):
            raise ValueError(f"{count} spans are told, {len(self.spans)} were there")
        if None in (self.process, self.time, self.page, self.row):
            raise ValueError("what comes first in a dump is missing")
        self._rows = sorted(self.resident)
        self._ended = True

    # ---- What follows from it ----

    def resident_pages(self, span):
        row_bytes = self.row * self.page
        first, end = span.base, span.base + span.pages * self.page
        count = 0
        while first < end:
            row = first - first % row_bytes
            stop = min(end, row + row_bytes)
            bits = self.resident.get(row, 0)
            if bits:
                bits >>= (first - row) // self.page
                bits &= (1 << (stop - first) // self.page) - 1
                count += bin(bits).count("1")
            elif row not in self.resident and end - row > row_bytes:
                stop = min(end, self._next_resident(row))
            first = stop
        return count

    def _next_resident(self, row):
        """The next row that has pages in memory: a span may be a million empty rows long."""
        at = bisect.bisect_right(self._rows, row)
        return self._rows[at] if at < len(self._rows) else ADDRESS_MOST


READERS = frozenset(name[len("_read_"):] for name in vars(Dump) if name.startswith("_read_")) \
    - {"line"}


# How a file is opened for read_open.
FORM = {"encoding": "ascii", "errors": "strict", "newline": "\n"}


def read_open(file, name):
    """The Dump in an open file, which errors call by that name."""
    try:
        return Dump(iter(lambda: file.readline(LINE_MOST + 1), ""))
    except Failed as error:
        raise Failed(f"{name}: {error}") from None
    except OSError as error:
        raise Failed(f"{name}: {error.strerror}") from None


def read(path):
    """The Dump in a file; "-" is standard input."""
    with open(0 if path == "-" else path, closefd=path != "-", **FORM) as file:
        return read_open(file, path)


# ---- Sums ----

class ClassSums:
    """The spans of one class on one node."""

    def __init__(self, size_class):
        self.size_class = size_class
        self.spans = self.objects = self.held = self.cached = self.bytes = 0

    def add(self, span, page):
        self.spans += 1
        self.objects += span.objects
        self.held += span.held
        self.cached += span.cached
        self.bytes += span.pages * page

    @property
    def free_bytes(self):
        return (self.objects - self.held - self.cached) * self.size_class.bytes

    @property
    def fill(self):
        return self.held / self.objects

    def as_dict(self):
        return {"class": self.size_class.number, "object_bytes": self.size_class.bytes,
                "spans": self.spans, "span_bytes": self.bytes, "objects": self.objects,
                "held": self.held, "cached": self.cached, "free_bytes": self.free_bytes,
                "cached_bytes": self.cached * self.size_class.bytes,
                "fill": round(self.fill, 4)}


class NodeSums:
    """The memory of one node, whoever uses it; in bytes."""

    def __init__(self, node):
        self.node = node
        self.mapped = self.resident = self.held = self.cached = 0
        self.in_spans = 0     # free within spans that hold objects
        self.free = 0         # in free spans, in memory
        self.given_back = 0   # in free spans, not in memory
        self.lent = 0         # used by others
        self.largest_run = 0  # of neighbouring free spans
        self.runs = 0
        self.huge_whole = self.huge_broken = 0
        self.classes = {}

    def worst(self):
        """Classes by what is free in their spans, most first."""
        return sorted(self.classes.values(), key=lambda one: (-one.free_bytes,
                                                              one.size_class.number))

    def as_dict(self):
        out = {name: getattr(self, name) for name in (
            "node", "mapped", "resident", "held", "cached", "in_spans", "free", "given_back",
            "lent", "largest_run", "runs", "huge_whole", "huge_broken")}
        out["classes"] = [one.as_dict() for one in self.worst()]
        return out


def sums(dump):
    """NodeSums of every node, by number."""
    nodes = {node: NodeSums(node) for node in sorted(dump.nodes, key=lambda n: (n < 0, n))}
    run = run_end = run_home = 0
    owner_of_row = {}
    for span in dump.spans:
        node = nodes[span.home]
        bytes_ = span.pages * dump.page
        resident = dump.resident_pages(span) * dump.page
        node.mapped += bytes_
        node.resident += resident
        if span.user != span.home:
            node.lent += bytes_
        if span.state in IDLE:
            node.free += resident
            node.given_back += bytes_ - resident
            joined = run and span.base == run_end and span.home == run_home
            run = run + bytes_ if joined else bytes_
            run_end, run_home = span.base + bytes_, span.home
            node.runs += not joined
            node.largest_run = max(node.largest_run, run)
        elif span.state == "objects":
            size_class = dump.classes[span.size_class]
            node.held += span.held * size_class.bytes
            node.cached += span.cached * size_class.bytes
            one = node.classes.setdefault(span.size_class, ClassSums(size_class))
            one.add(span, dump.page)
        else:
            node.held += bytes_
        row = span.base - span.base % (dump.row * dump.page)
        owner_of_row.setdefault(row, span.home)
    for node in nodes.values():
        node.in_spans = sum(one.free_bytes for one in node.classes.values())
    add_rows(dump, nodes, owner_of_row)
    return nodes


def add_rows(dump, nodes, owner_of_row):
    """Counts huge pages: whole ones are in memory as a whole, of broken ones a part is.  A row
    belongs to the node of the first span that begins in it, or lies over it."""
    owners = sorted(owner_of_row)
    at = -1
    for row in sorted(dump.resident):
        while at + 1 < len(owners) and owners[at + 1] <= row:
            at += 1
        if at < 0:
            continue
        node = nodes[owner_of_row[owners[at]]]
        if dump.resident[row] == (1 << dump.row) - 1:
            node.huge_whole += 1
        elif dump.resident[row]:
            node.huge_broken += 1
