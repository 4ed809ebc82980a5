# SPDX-License-Identifier: LGPL-2.1-or-later
"""Heap profiles in pprof's form: what src/profile_write.c writes, read, and written again
with names.

Of profile.proto (github.com/google/pprof) all that such files hold; addresses are
told by name with addr2line, where the mapped files are still there.

A profile may come from anywhere: whatever is in it, reading it ends with a Profile or
with Failed, in time and memory that the bytes in it account for."""

import collections
import gzip
import os
import re
import stat
import struct
import subprocess
import zlib


class Failed(Exception):
    pass


Mapping = collections.namedtuple("Mapping", "number begin end offset path build_id")
Sample = collections.namedtuple("Sample", "stack values labels")
Place = collections.namedtuple("Place", "function where")

NUMBER, EIGHT, BYTES, FOUR = 0, 1, 2, 5
NUMBER_BYTES, NUMBER_MOST = 10, (1 << 64) - 1
# Of a file, unpacked: 400000 samples of long stacks.  Decoded they take twenty times as much.
UNPACKED_MOST = 64 << 20
PIECE = 1 << 20
PROGRAM_HEADER = 56  # bytes, of an ELF file of 64 bits
PROGRAM_LOADED = 1
# Whose symbols are looked at, which takes a process each.
FILES_MOST = 1024
UNKNOWN_TIME = 0
GONE = " (deleted)"  # the kernel's word behind a path


def number(data, at):
    value = shift = 0
    for byte in data[at:at + NUMBER_BYTES]:
        at += 1
        value |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            if value > NUMBER_MOST:
                break
            return value, at
    raise Failed("a number is cut off, or of more than 64 bits")


def whole(value):
    if not isinstance(value, int):
        raise Failed("there is a text or message where a number should be")
    return value


def contents(value):
    if isinstance(value, int):
        raise Failed("there is a number where a text or message should be")
    return value


def numbers(data):
    """Of a list, packed or one by one."""
    if isinstance(data, int):
        return [data]
    at, found = 0, []
    while at < len(data):
        value, at = number(data, at)
        found.append(value)
    return found


def fields(data):
    """A message's fields: pairs of number and value, in order."""
    at = 0
    while at < len(contents(data)):
        key, at = number(data, at)
        wire = key & 7
        if wire == NUMBER:
            value, at = number(data, at)
        elif wire == BYTES:
            length, at = number(data, at)
            value = data[at:at + length]
            if len(value) != length:
                raise Failed("a field is longer than its message")
            at += length
        elif wire in (EIGHT, FOUR):
            length = 8 if wire == EIGHT else 4
            value = data[at:at + length]
            at += length
        else:
            raise Failed(f"a field of wire type {wire}")
        yield key >> 3, value


def numbers_of(data):
    """A message's numbers, by field: 0 where there is none."""
    return collections.defaultdict(int, ((key, value) for key, value in fields(data)
                                         if isinstance(value, int)))


def encoded(value):
    """A number; or a field's contents, bytes or text, with their length before."""
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return encoded(len(value)) + value
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number_, value):
    wire = NUMBER if isinstance(value, int) else BYTES
    return encoded(number_ << 3 | wire) + encoded(value)


def unpacked(path):
    pieces, length = [], 0
    with gzip.open(path) as file:
        while piece := file.read(PIECE):
            pieces.append(piece)
            length += len(piece)
            if length > UNPACKED_MOST:
                raise Failed(f"it is of more than {UNPACKED_MOST >> 20} MiB, unpacked")
    return b"".join(pieces)


class Profile:
    """types: names and units of the values; samples: stacks of addresses, innermost
    first, values and labels by name; mappings; strings."""

    def __init__(self, path):
        try:
            self.decode(unpacked(path))
        except (Failed, gzip.BadGzipFile, EOFError, LookupError, zlib.error) as error:
            raise Failed(f"{path} is no profile: {error}") from error
        except OSError as error:
            raise Failed(f"{path}: {error.strerror}") from error

    def decode(self, data):
        if not data:
            raise Failed("it is empty")
        self.data = data
        parts = collections.defaultdict(list)
        for key, value in fields(data):
            parts[key].append(value)
        self.strings = [contents(text).decode(errors="replace") for text in parts[6]]
        if not self.strings or self.strings[0] != "":
            raise Failed("the first string is not the empty one")
        self.types = [self.value_type(part) for part in parts[1]]
        self.period_type = self.value_type(parts[11][0])
        self.period = whole(parts[12][0])
        self.time = whole(parts[9][0]) if parts[9] else UNKNOWN_TIME
        self.default_type = self.strings[whole(parts[14][0])]
        self.mappings = {}
        for part in parts[3]:
            one = numbers_of(part)
            self.mappings[one[1]] = Mapping(one[1], one[2], one[3], one[4],
                                            self.strings[one[5]], self.strings[one[6]])
        locations = [numbers_of(part) for part in parts[4]]
        self.mapping_of = {one[3]: self.mappings[one[2]] for one in locations if 2 in one}
        addresses = {one[1]: one[3] for one in locations}
        if len(addresses) != len(locations):
            raise Failed("two locations have one number")
        self.samples = [self.sample(part, addresses) for part in parts[2]]
        self.names = {}

    def value_type(self, data):
        one = numbers_of(data)
        return self.strings[one[1]], self.strings[one[2]]

    def sample(self, data, addresses):
        stack, values, labels = [], [], {}
        for key, value in fields(data):
            if key == 1:
                stack += [addresses[one] for one in numbers(value)]
            elif key == 2:
                values += numbers(value)
            elif key == 3:
                label = numbers_of(value)
                labels[self.strings[label[1]]] = self.strings[label[2]]
        if len(values) != len(self.types):
            raise Failed("a sample has not as many values as there are types")
        return Sample(tuple(stack), dict(zip((name for name, _ in self.types), values)), labels)

    def may_be_of_one_process(self, other):
        """Whether the program is mapped at the same place in both, and so is something else, if
        there is more in both: all of it need not be, where libraries come and go."""
        mine, its = ([one.mappings[key] for key in sorted(one.mappings)] for one in (self, other))
        if not mine or not its:
            return True
        if not is_same(mine[0], its[0]):
            return False
        there = {one.begin: one for one in its[1:]}
        return (len(mine) == 1 or not there or
                any(one.begin in there and is_same(one, there[one.begin]) for one in mine[1:]))

    def totals(self):
        return {name: sum(sample.values[name] for sample in self.samples)
                for name, _ in self.types}

    def name(self, addresses):
        """Asks for the names of addresses, all at once; `place` has them then."""
        wanted = collections.defaultdict(list)  # of a file: pairs of an address and its offset
        for address in set(addresses) - self.names.keys():
            mapping = self.mapping_of.get(address)
            place = f"{address:#x}"
            if mapping is not None:
                offset = address - mapping.begin + mapping.offset
                place = f"{os.path.basename(mapping.path)}+{offset:#x}"
                wanted[mapping.path].append((address, offset))
            self.names[address] = Place(place, "")
        for path in sorted(wanted)[:FILES_MOST]:
            loaded = segments(path)
            some = [(address, one) for address, offset in wanted[path]
                    if (one := linked_at(loaded, offset)) is not None]
            places = addr2line(path, [one for _, one in some]) if some else []
            for (address, _), place in zip(some, places):
                if place.function != "??":
                    self.names[address] = place

    def place(self, address):
        return self.names[address]

    def with_names(self, path):
        """Writes the profile with a function at each location, whose name is known or not:
        for readers that have not the mapped files, or do not look at them."""
        self.name(address for sample in self.samples for address in sample.stack)
        table = list(self.strings)
        place_in_table = {text: i for i, text in enumerate(table)}
        functions, out = {}, bytearray()

        def string(text):
            if text not in place_in_table:
                place_in_table[text] = len(table)
                table.append(text)
            return place_in_table[text]

        for key, value in fields(self.data):
            if key == 4:
                address = numbers_of(value)[3]
                function, where = self.names.get(address, Place(f"{address:#x}", ""))
                source, _, line = where.rpartition(":")
                number_ = functions.setdefault((string(function), string(source)),
                                               len(functions) + 1)
                value += field(4, field(1, number_) +
                               field(2, int(line) if re.fullmatch("[0-9]{1,9}", line) else 0))
            elif key == 3:
                value += field(7, 1)
            out += field(key, value)
        for (name, source), number_ in functions.items():
            out += field(5, field(1, number_) + field(2, name) + field(3, name) + field(4, source))
        for text in table[len(self.strings):]:
            out += field(6, text)
        try:
            with gzip.open(path, "wb") as file:
                file.write(out)
        except OSError as error:
            raise Failed(f"{path}: {error.strerror}") from error


def is_same(one, other):
    """Of two mappings.  A file that was replaced meanwhile has another path and no build id."""
    if (one.begin, one.end, one.offset) != (other.begin, other.end, other.offset):
        return False
    if one.build_id and other.build_id:
        return one.build_id == other.build_id
    return one.path.removesuffix(GONE) == other.path.removesuffix(GONE)


def open_regular(path, flags):
    """An opener of regular files alone: to open another may wait for ever, as a FIFO does, or
    set a device going."""
    if stat.S_ISREG(os.stat(path).st_mode):
        file = os.open(path, flags | os.O_NONBLOCK)
        if stat.S_ISREG(os.fstat(file).st_mode):  # still
            return file
        os.close(file)
    raise OSError(f"{path} is no regular file")


def segments(path):
    """Of an ELF file what of it is loaded: pairs of a range of offsets, and what is added to one
    there to have the address that the linker gave to it."""
    try:
        with open(path, "rb", opener=open_regular) as file:
            head = file.read(64) or b""  # None where there is nothing yet, as in /proc/kmsg
            if head[:5] != b"\x7fELF\x02":
                return []
            table, = struct.unpack_from("<Q", head, 32)
            size, count = struct.unpack_from("<HH", head, 54)
            if size != PROGRAM_HEADER:
                return []
            file.seek(table)
            headers = file.read(size * count)
        if len(headers) != size * count:
            return []
    except (OSError, ValueError, struct.error):  # a path that is none, a file cut off
        return []
    found = []
    for at in range(0, len(headers), PROGRAM_HEADER):
        kind, _, start, linked, _, length = struct.unpack_from("<IIQQQQ", headers, at)
        if kind == PROGRAM_LOADED:
            found.append((range(start, start + length), linked - start))
    return found


def linked_at(loaded, offset):
    """The address that the file's linker gave to what is at that offset; None when nothing is."""
    return next((offset + more for offsets, more in loaded if offset in offsets), None)


def addr2line(path, addresses):
    try:
        run = subprocess.run(["addr2line", "-Cfe", path], check=True, encoding="utf-8",
                             errors="replace",
                             input="".join(f"{one:#x}\n" for one in addresses),
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return [Place("??", "")] * len(addresses)
    lines = run.stdout.splitlines()
    return [Place(function, "" if where.startswith("??") else where.split(" (")[0])
            for function, where in zip(lines[::2], lines[1::2])]
