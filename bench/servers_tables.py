# SPDX-License-Identifier: LGPL-2.1-or-later
"""What bench/servers makes of its runs: medians, nearheap beside the best other of each
row, and both as tables in Markdown, with their date and machine."""

import datetime
import os
import platform
import statistics

import paired
from paired import BASE

RATES, LATENCY, MEMORY = "operations a second", "99th percentile", "resident memory"
# Of which measures more is better, and how a value is told.
MORE_IS_BETTER = {RATES: True, LATENCY: False, MEMORY: False}
UNITS = {RATES: "/s", LATENCY: "s"}


# ---- Results ------------------------------------------------------------------

def values_of(run):
    """All that a run measured, as (measure, what, value)."""
    for what, figure in run["figures"].items():
        yield RATES, what, figure["rate"]
        if figure["p99"] is not None:
            yield LATENCY, what, figure["p99"]
    for what, size in run["memory"].items():
        yield MEMORY, what, size


def results(runs, names):
    """{measure: {"server, what": {allocator: [value a round]}}}; an allocator under which
    a server failed is left out of its rows."""
    failed = {(run["server"], run["allocator"]) for run in runs if run["status"] != "ok"}
    made = {measure: {} for measure in MORE_IS_BETTER}
    for run in sorted(runs, key=lambda r: r["round"]):
        if (run["server"], run["allocator"]) in failed:
            continue
        for measure, what, value in values_of(run):
            row = made[measure].setdefault(f"{run['server']}, {what}", {})
            row.setdefault(run["allocator"], []).append(value)
    return {measure: {what: {name: row[name] for name in names if name in row}
                      for what, row in rows.items()}
            for measure, rows in made.items()}


def best_other(row, more_is_better, base=BASE):
    """Who has the best median beside one; None if nobody."""
    others = [name for name in row if name != base]
    best = max if more_is_better else min
    return best(others, key=lambda name: statistics.median(row[name]), default=None)


def beside(row, other, base=BASE):
    """One's over the other's: text and ratio."""
    made = paired.compare(row[base], row[other])
    text = f"{made['ratio']:.2f}"
    if len(row[base]) > 1:
        text += f" ({made['low']:.2f}-{made['high']:.2f})"
    return text, made["ratio"]


# ---- Tables --------------------------------------------------------------------

def machine():
    """What it was measured on."""
    model = platform.machine()
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return (f"{len(os.sched_getaffinity(0))} CPUs ({model}), {memory / 2**30:.0f} GiB, {system}, "
            f"Linux {platform.release()}")


def told(measure, value):
    if measure == MEMORY:
        return f"{value / 2**20:.1f} MiB"
    return (paired.human(value) + UNITS[measure]).replace(" /", "/")


def print_measure(measure, rows, names):
    others = [name for name in names if name != BASE]
    compared = BASE in names and others
    heads = [measure, *names] + ([f"{BASE} / best other"] if compared else [])
    print("\n| " + " | ".join(heads) + " |")
    print("| --- " * len(heads) + "|")
    ratios = []
    for what, row in rows.items():
        cells = [told(measure, statistics.median(row[name])) if name in row else "failed"
                 for name in names]
        best = best_other(row, MORE_IS_BETTER[measure])
        if compared:
            cells.append("")
        if compared and BASE in row and best is not None:
            text, ratio = beside(row, best)
            ratios.append(ratio)
            cells[-1] = f"{text} {best}"
        print(f"| {what} | " + " | ".join(cells) + " |")
    if ratios:
        print(f"\n{BASE} over the best other of each row, geometric mean: "
              f"{statistics.geometric_mean(ratios):.2f} "
              f"({'higher' if MORE_IS_BETTER[measure] else 'lower'} is better)")


def of_server(rows, server):
    return [row for what, row in rows.items() if what.startswith(f"{server}, ")]


def mean_over(rows, base, other):
    """Of rows that both have, the geometric mean of `base` over `other`; None of none."""
    ratios = [paired.compare(row[base], row[other])["ratio"]
              for row in rows if base in row and other in row]
    return statistics.geometric_mean(ratios) if ratios else None


def print_short(made, names):
    """A line for each server, of all its rows together."""
    others = [name for name in names if name != BASE]
    measures = [(measure, short) for measure, short in ((RATES, "rate"), (LATENCY, "p99"))
                if made[measure]]
    heads = [f"{short} over {other}" for _, short in measures for other in others]
    print(f"\n| {BASE}'s | " + " | ".join(heads) + " | settled | the least other |")
    print("| --- " * (len(heads) + 3) + "|")
    for server in dict.fromkeys(what.partition(", ")[0] for rows in made.values() for what in rows):
        means = [mean_over(of_server(made[measure], server), BASE, other)
                 for measure, _ in measures for other in others]
        settled = made[MEMORY].get(f"{server}, settled", {})
        least = best_other(settled, False)
        cells = ["" if mean is None else f"{mean:.2f}" for mean in means]
        cells += [told(MEMORY, statistics.median(settled[name])) if name in settled else ""
                  for name in (BASE, least)]
        print(f"| {server} | " + " | ".join(cells) + (f" {least} |" if least else " |"))
    for measure, short in measures:
        means = []
        for name in names:
            ratios = [beside(row, other, name)[1] for row in made[measure].values() if name in row
                      and (other := best_other(row, MORE_IS_BETTER[measure], name)) is not None]
            means += [f"{name} {statistics.geometric_mean(ratios):.2f}"] if ratios else []
        print(f"\nEach one's {short} over that of the best other of each row: " + ", ".join(means))


def print_all(made, names, rounds):
    print(f"{datetime.date.today()}, {machine()}; medians of {rounds} paired rounds; in "
          f"parentheses the ratios' {'range' if rounds < paired.FEW_ROUNDS else 'middle half'}.")
    if BASE in names and len(names) > 1:
        print_short(made, names)
    for measure, rows in made.items():
        if rows:
            print_measure(measure, rows, names)
