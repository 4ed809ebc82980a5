# SPDX-License-Identifier: LGPL-2.1-or-later
"""The picture of a heap: one HTML file that loads nothing, from map_page.html, its script and
a dump."""

import json
import os

import map_dump

# A span's numbers in the page, in this order; `gap` is from the end of the one before.
FIELDS = ("gap", "pages", "state", "home", "user", "class", "objects", "held", "cached", "age")
AGE_UNKNOWN = -1
SCRIPTS = "map_picture.js", "map_page.js"


def part(name):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name),
              encoding="utf-8") as file:
        return file.read()


def span_numbers(dump):
    numbers = []
    end = 0
    for span in dump.spans:
        base = span.base // dump.page
        numbers += [base - end, span.pages, map_dump.STATES.index(span.state), span.home, span.user,
                    span.size_class, span.objects, span.held, span.cached,
                    AGE_UNKNOWN if span.age is None else span.age]
        end = base + span.pages
    return numbers


def resident_rows(dump):
    """Pairs of a row's number and the dump's own digits, or 1 for all of them."""
    whole = (1 << dump.row) - 1
    digits = max(dump.row // 4, 1)
    return [[row // (dump.row * dump.page),
             1 if bits == whole else f"{bits:0{digits}x}"[::-1]]
            for row, bits in sorted(dump.resident.items()) if bits]


def page(dump, sums):
    data = {"process": dump.process, "library": dump.library, "time": dump.time,
            "page": dump.page, "row": dump.row, "fields": FIELDS, "states": map_dump.STATES,
            "classes": {one.number: [one.bytes, one.objects, one.pages]
                        for one in dump.classes.values()},
            "nodes": [node.as_dict() for node in sums.values()],
            "spans": span_numbers(dump), "resident": resident_rows(dump)}
    # The data is of numbers and checked words; `<` would end the element all the same.
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    script = "".join(part(name) for name in SCRIPTS)
    return part("map_page.html").replace("@SCRIPT@", script).replace("@DATA@", text)
