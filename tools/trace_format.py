# SPDX-License-Identifier: LGPL-2.1-or-later
"""Traces of malloc: what tools/trace_record.c writes, and the compact form that
bench/traces/ holds and bench/workloads/trace.c reads.

A compact trace is the 8 bytes of MAGIC, the length of its contents as a number,
and the contents, compressed.  A number is 7 bits a byte, lowest first, with the
top bit set in all bytes but the last; of 64 bits at most.  The contents are numbers:

  threads, objects, events, kinds
  for each kind: call (1 malloc, 2 calloc, 3 aligned), size in bytes, binary
      logarithm of the alignment (0 but for aligned)
  for each event, in an order in which they can be done one after another:
      0 THREAD       no event: the following ones are of this thread (first: 0)
      1 AGE          free of the object that was allocated AGE objects before the
                     latest (0: the latest itself)
      2 AGE KIND     realloc of such an object to the size of this kind
      3 + KIND       allocation of the next object

Kinds are in order of how often they occur.  No address, content or name of the
program is in a trace.

Compression is of repeated sequences alone, so that a reader takes thirty lines:
a number N that is even stands for N / 2 + 1 bytes that follow as they are; one
that is odd, for (N - 1) / 2 + MATCH_LEAST bytes that are copied from as many
bytes before as the number after it says, one by one, so that they may overlap.
"""

import collections
import struct

MAGIC = b"NHTRACE1"
MATCH_LEAST = 4
CHAIN = 24   # places at which a longest match is looked for
STEP = 32    # bytes compared at a time
NOTED = 64   # of a long match, so many first places are remembered
ONE_BYTE = 127  # the largest number of one byte
NUMBER_BYTES, NUMBER_BITS = 10, 64
# Of contents: some sixteen million events, and each takes a hundred bytes when it is read.
CONTENTS_MOST = 32 << 20

LOG_MAGIC = b"NRACLOG1"
LOG_HEAD = struct.Struct("<8sQQQQIIQQ")
LOG_EVENT = struct.Struct("<QQIBBH")

CALL_MALLOC, CALL_CALLOC, CALL_ALIGNED, CALL_FREE, CALL_REALLOC_FROM, CALL_REALLOC_TO = range(1, 7)
CALLS = {CALL_MALLOC: "malloc", CALL_CALLOC: "calloc", CALL_ALIGNED: "aligned"}
TOKEN_THREAD, TOKEN_FREE, TOKEN_REALLOC, TOKEN_ALLOCATE = range(4)


class Failed(Exception):
    """What went wrong and what to do about it, in one line for the user."""


class Trace:
    """kinds: (call, size, logarithm of alignment), by number.  events: (thread,
    token, object, kind), the kind of a free being None.  Threads and objects are
    numbered from 0 as they first occur."""

    def __init__(self, threads, objects, kinds, events):
        self.threads, self.objects = threads, objects
        self.kinds, self.events = kinds, events


# ---- What the recorder writes -------------------------------------------------

def read_log(path):
    """The recorder's events, in order: (address, size, thread, alignment, call)."""
    with open(path, "rb") as file:
        head = file.read(LOG_HEAD.size)
        if len(head) != LOG_HEAD.size or not head.startswith(LOG_MAGIC):
            raise Failed(f"{path} is no log of the recorder: record again")
        _, _, skip, room, following, *_ = LOG_HEAD.unpack(head)
        count = max(0, min(following - skip, room))
        body = file.read(count * LOG_EVENT.size)
    return [event[:5] for event in LOG_EVENT.iter_unpack(body)]


def from_log(log):
    """Objects instead of addresses.  An object from before the first event is not
    known: its free is left out, its realloc is an allocation."""
    live, moving = {}, {}  # address to object; thread to the object in its realloc
    threads, events, kinds = {}, [], collections.Counter()
    objects = 0
    for address, size, thread, alignment, call in log:
        token, number = None, None
        if call in CALLS:
            token, kind = TOKEN_ALLOCATE, (call, size, alignment)
        elif call == CALL_FREE:
            number = live.pop(address, None)
            if number is not None:
                token, kind = TOKEN_FREE, None
        elif call == CALL_REALLOC_FROM:
            moving[thread] = (address, live.pop(address, None))
        elif call == CALL_REALLOC_TO:
            before, number = moving.pop(thread, (None, None))
            kind = (CALL_MALLOC, size, 0)
            if address:
                token = TOKEN_ALLOCATE if number is None else TOKEN_REALLOC
            elif number is not None and size == 0:
                token, kind = TOKEN_FREE, None
            elif number is not None:  # it failed: all is as before
                live[before] = number
        if token is None:
            continue
        if token == TOKEN_ALLOCATE:
            number, objects = objects, objects + 1
        if token != TOKEN_FREE:
            if address in live:
                raise Failed("the log has an object twice at one address: "
                             "some allocations of the program went round the recorder")
            live[address] = number
            kinds[kind] += 1
        events.append((threads.setdefault(thread, len(threads)), token, number, kind))
    ordered = [kind for kind, _ in kinds.most_common()]
    numbers = {kind: number for number, kind in enumerate(ordered)}
    numbers[None] = None
    return Trace(len(threads), objects, ordered,
                 [(thread, token, number, numbers[kind]) for thread, token, number, kind in events])


# ---- Numbers and compression ----------------------------------------------------

def put_number(to, number):
    while number > ONE_BYTE:
        to.append(number & 127 | 128)
        number >>= 7
    to.append(number)


def get_number(data, at):
    """(the number that begins at `at`, where the next one does); IndexError if it is none."""
    number, shift, last = 0, 0, at + NUMBER_BYTES - 1
    while data[at] > ONE_BYTE and at < last:
        number |= (data[at] & ONE_BYTE) << shift
        at, shift = at + 1, shift + 7
    number |= data[at] << shift
    if number >> NUMBER_BITS:
        raise IndexError
    return number, at + 1


def match_length(data, left, right):
    """How many bytes from `left` on are equal to those from `right` on."""
    length, most = 0, len(data) - right
    while (length + STEP <= most and
           data[left + length:left + length + STEP] == data[right + length:right + length + STEP]):
        length += STEP
    while length < most and data[left + length] == data[right + length]:
        length += 1
    return length


def longest_match(data, places, at):
    """(length, distance) of the best earlier occurrence of what begins at `at`."""
    best, distance = 0, 0
    for place in reversed(places):
        # Most are no longer than the best: one byte tells.
        if best and data[place + best:place + best + 1] != data[at + best:at + best + 1]:
            continue
        length = match_length(data, place, at)
        if length > best:
            best, distance = length, at - place
    return best, distance


def compress(data):
    packed, literal = bytearray(), 0
    seen = collections.defaultdict(lambda: collections.deque(maxlen=CHAIN))

    def flush(until):
        if until > literal:
            put_number(packed, (until - literal - 1) * 2)
            packed.extend(data[literal:until])

    at = 0
    while at < len(data):
        places = seen.get(data[at:at + MATCH_LEAST], ())
        length, distance = longest_match(data, places, at)
        # A match has to be longer than the two numbers that stand for it.
        if length < MATCH_LEAST or (length == MATCH_LEAST and distance > ONE_BYTE):
            length = 1
        else:
            flush(at)
            put_number(packed, (length - MATCH_LEAST) * 2 + 1)
            put_number(packed, distance)
            literal = at + length
        for place in range(at, at + min(length, NOTED)):
            seen[data[place:place + MATCH_LEAST]].append(place)
        at += length
    flush(len(data))
    return bytes(packed)


def decompress(packed, at, length):
    """IndexError if the bytes from `at` on are no `length` bytes compressed."""
    if length > CONTENTS_MOST:
        raise IndexError
    data = bytearray()
    while len(data) < length:
        control, at = get_number(packed, at)
        if control % 2 == 0:
            count = control // 2 + 1
            data += packed[at:at + count]
            at += count
            continue
        count = control // 2 + MATCH_LEAST
        distance, at = get_number(packed, at)
        if not 0 < distance <= len(data) or count > length - len(data):
            raise IndexError
        while count > 0:
            part = data[len(data) - distance:][:count]
            data += part
            count -= len(part)
    if len(data) != length or at != len(packed):
        raise IndexError
    return bytes(data)


# ---- The compact form -------------------------------------------------------------

def contents(trace):
    data = bytearray()
    for number in (trace.threads, trace.objects, len(trace.events), len(trace.kinds)):
        put_number(data, number)
    for kind in trace.kinds:
        for number in kind:
            put_number(data, number)
    current, objects = 0, 0
    for thread, token, number, kind in trace.events:
        if thread != current:
            put_number(data, TOKEN_THREAD)
            put_number(data, thread)
            current = thread
        if token == TOKEN_ALLOCATE:
            put_number(data, TOKEN_ALLOCATE + kind)
            objects += 1
            continue
        put_number(data, token)
        put_number(data, objects - 1 - number)
        if token == TOKEN_REALLOC:
            put_number(data, kind)
    return bytes(data)


def write_trace(trace, path):
    data = contents(trace)
    if len(data) > CONTENTS_MOST:
        raise Failed(f"a trace of {len(trace.events)} events is too large: record fewer (--events)")
    head = bytearray(MAGIC)
    put_number(head, len(data))
    with open(path, "wb") as file:
        file.write(bytes(head) + compress(data))


def parse(data):
    """The trace whose contents these are; IndexError if they are none's."""
    at = 0

    def numbers(count):
        nonlocal at
        taken = []
        for _ in range(count):
            number, at = get_number(data, at)
            taken.append(number)
        return taken

    threads, objects, count, kind_count = numbers(4)
    kinds = [tuple(numbers(3)) for _ in range(kind_count)]
    # A thread is one of some event.
    if threads > count or any(call not in CALLS or shift >= NUMBER_BITS for call, _, shift in kinds):
        raise IndexError
    current, allocated, events, freed = 0, 0, [], set()
    while len(events) < count:
        token, = numbers(1)
        number, kind = allocated, None
        if token == TOKEN_THREAD:
            current, = numbers(1)
            continue
        if token >= TOKEN_ALLOCATE:
            token, kind = TOKEN_ALLOCATE, token - TOKEN_ALLOCATE
            allocated += 1
        else:
            number -= 1 + numbers(1)[0]
            if token == TOKEN_REALLOC:
                kind, = numbers(1)
        if (number < 0 or number in freed or current >= threads or
                (kind is not None and kind >= kind_count)):
            raise IndexError
        if token == TOKEN_FREE:
            freed.add(number)
        events.append((current, token, number, kind))
    if allocated != objects or at != len(data):
        raise IndexError
    return Trace(threads, objects, kinds, events)


def read_trace(path):
    with open(path, "rb") as file:
        packed = file.read()
    if not packed.startswith(MAGIC):
        raise Failed(f"{path} is no trace: make one with tools/trace record")
    try:
        length, at = get_number(packed, len(MAGIC))
        return parse(decompress(packed, at, length))
    except IndexError:
        raise Failed(f"{path} is damaged: record it again, or take it from git")
